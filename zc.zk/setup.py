"""Distribution metadata of zc.zk."""
from pathlib import Path

from setuptools import find_namespace_packages
from setuptools import setup

HERE = Path(__file__).parent

setup(
    name='zc.zk',
    version='3.0',
    description='Service registration, discovery and trees with ZooKeeper',
    long_description='\n\n'.join(
        HERE.joinpath(name).read_text(encoding='utf-8')
        for name in ('README.txt', 'CHANGES.txt')),
    long_description_content_type='text/x-rst',
    license='ZPL-2.1',
    url='https://github.com/zopefoundation/zc.zkzopeserver',
    python_requires='>=3.10',
    package_dir={'': 'src'},
    packages=find_namespace_packages('src', include=['zc.zk*']),
    include_package_data=True,
    install_requires=['kazoo >= 2.11', 'psutil'],
    extras_require={
        'progress': ['tqdm'],
        'test': ['hypothesis', 'manuel', 'pytest', 'pytest-timeout',
                 'tqdm'],
    },
    entry_points={
        'console_scripts': [
            'zookeeper_diff = zc.zk.scripts:diff',
            'zookeeper_embedded = zc.zk.scripts.zookeeper_embedded:main',
            'zookeeper_export = zc.zk.scripts:export',
            'zookeeper_import = zc.zk.scripts:import_',
            'zookeeper_set_property = zc.zk.scripts:set_property',
            'zookeeper_validate = zc.zk.scripts:validate',
        ],
    },
)
