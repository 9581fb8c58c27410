"""Distribution metadata of zope.server."""
import os
import sys
from pathlib import Path

from setuptools import find_namespace_packages
from setuptools import setup

HERE = Path(__file__).parent

# The compiled form, see zope.server/COMPILED.txt.
ext_modules = []
if os.environ.get('ZOPE_SERVER_COMPILED') and 'bdist_wheel' in sys.argv:
    from build_backend import extensions
    ext_modules = extensions()

setup(
    name='zope.server',
    version='6.0',
    description='A threaded WSGI server that stops without losing a request',
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
                   'main/zope.server/CHANGES.txt',
        'Issues': 'https://github.com/zopefoundation/zc.zkzopeserver/issues',
        'Source': 'https://github.com/zopefoundation/zc.zkzopeserver',
    },
    keywords='wsgi http server threads paste',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Environment :: Web Environment',
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
        'Topic :: Internet :: WWW/HTTP :: WSGI :: Server',
        'Typing :: Typed',
    ],
    python_requires='>=3.10',
    package_dir={'': 'src'},
    packages=find_namespace_packages('src', include=['zope.server*']),
    package_data={'': ['py.typed']},
    include_package_data=True,
    ext_modules=ext_modules,
    install_requires=['httptools >= 0.6'],
    entry_points={
        'paste.server_runner': ['main = zope.server.runner:run'],
    },
    extras_require={
        'test': ['PasteDeploy', 'h11', 'hypothesis', 'pytest',
                 'pytest-timeout', 'waitress'],
    },
)
