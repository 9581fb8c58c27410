"""Distribution metadata of zope.server."""
from pathlib import Path

from setuptools import find_namespace_packages
from setuptools import setup

HERE = Path(__file__).parent

setup(
    name='zope.server',
    version='6.0',
    description='A threaded WSGI server that stops without losing a request',
    long_description='\n\n'.join(
        HERE.joinpath(name).read_text(encoding='utf-8')
        for name in ('README.txt', 'CHANGES.txt')),
    long_description_content_type='text/x-rst',
    license='ZPL-2.1',
    url='https://github.com/zopefoundation/zc.zkzopeserver',
    python_requires='>=3.10',
    package_dir={'': 'src'},
    packages=find_namespace_packages('src', include=['zope.server*']),
    include_package_data=True,
    install_requires=['httptools >= 0.6'],
    extras_require={
        'test': ['h11', 'hypothesis', 'pytest', 'pytest-timeout',
                 'waitress'],
    },
)
