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
    author='Zope Foundation and Contributors',
    author_email='zope-dev@zope.dev',
    license='ZPL-2.1',
    license_files=['LICENSE.txt'],
    url='https://github.com/zopefoundation/zc.zkzopeserver',
    project_urls={
        'Changes': 'https://github.com/zopefoundation/zc.zkzopeserver/blob/'
                   'main/zc.zk/CHANGES.txt',
        'Issues': 'https://github.com/zopefoundation/zc.zkzopeserver/issues',
        'Source': 'https://github.com/zopefoundation/zc.zkzopeserver',
    },
    keywords='zookeeper kazoo service discovery tree',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Environment :: Console',
        'Intended Audience :: Developers',
        'Intended Audience :: System Administrators',
        'Operating System :: POSIX',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Programming Language :: Python :: 3.14',
        'Programming Language :: Python :: 3 :: Only',
        'Programming Language :: Python :: Implementation :: CPython',
        'Topic :: System :: Distributed Computing',
        'Typing :: Typed',
    ],
    python_requires='>=3.10',
    package_dir={'': 'src'},
    packages=find_namespace_packages('src', include=['zc.zk*']),
    package_data={'': ['py.typed'], 'zc.zk.view': ['page.*']},
    include_package_data=True,
    install_requires=['kazoo >= 2.11', 'psutil'],
    extras_require={
        'httpx': ['httpx >= 0.27'],
        'progress': ['tqdm'],
        'requests': ['requests >= 2.32'],
        'test': ['aiozk', 'httpx >= 0.27', 'hypothesis', 'manuel', 'pytest',
                 'pytest-timeout', 'requests >= 2.32', 'tqdm',
                 'urllib3 >= 2'],
        'urllib3': ['urllib3 >= 2'],
    },
    entry_points={
        'console_scripts': [
            'zookeeper_delete = zc.zk.scripts:delete',
            'zookeeper_diff = zc.zk.scripts:diff',
            'zookeeper_embedded = zc.zk.scripts.zookeeper_embedded:main',
            'zookeeper_export = zc.zk.scripts:export',
            'zookeeper_follow = zc.zk.scripts.zookeeper_follow:main',
            'zookeeper_import = zc.zk.scripts:import_',
            'zookeeper_set_property = zc.zk.scripts:set_property',
            'zookeeper_validate = zc.zk.scripts:validate',
            'zookeeper_view = zc.zk.scripts.zookeeper_view:main',
            'zookeeper_watch = zc.zk.scripts.zookeeper_watch:main',
        ],
    },
)
