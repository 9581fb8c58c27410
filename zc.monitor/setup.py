"""Distribution metadata of zc.monitor."""
from pathlib import Path

from setuptools import find_namespace_packages
from setuptools import setup

HERE = Path(__file__).parent

setup(
    name='zc.monitor',
    version='1.0',
    description='A command server inside a process, for its operators',
    long_description='\n\n'.join(
        HERE.joinpath(name).read_text(encoding='utf-8')
        for name in ('README.txt', 'CHANGES.txt')),
    long_description_content_type='text/x-rst',
    license='ZPL-2.1',
    url='https://github.com/zopefoundation/zc.zkzopeserver',
    python_requires='>=3.10',
    package_dir={'': 'src'},
    packages=find_namespace_packages('src', include=['zc.monitor*']),
    include_package_data=True,
    install_requires=['zope.component', 'zope.interface'],
    extras_require={
        'test': ['pytest', 'pytest-timeout'],
    },
)
