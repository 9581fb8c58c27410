"""Distribution metadata of zc.zkzopeserver."""
from pathlib import Path

from setuptools import find_namespace_packages
from setuptools import setup

HERE = Path(__file__).parent

setup(
    name='zc.zkzopeserver',
    version='2.0',
    description='Run WSGI applications with zope.server, registered in'
                ' ZooKeeper',
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
                   'main/CHANGES.txt',
        'Issues': 'https://github.com/zopefoundation/zc.zkzopeserver/issues',
        'Source': 'https://github.com/zopefoundation/zc.zkzopeserver',
    },
    keywords='zookeeper wsgi server paste buildout service discovery',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Environment :: Web Environment',
        'Framework :: Buildout :: Recipe',
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
    packages=find_namespace_packages('src', include=['zc.zkzopeserver*']),
    package_data={'': ['py.typed']},
    include_package_data=True,
    install_requires=[
        'PasteDeploy',
        'psutil',
        'zc.zk >= 3.0',
        'zope.server >= 6.0',
    ],
    extras_require={
        'daemon': ['zdaemon'],
        'monitor': ['zc.monitor >= 1.0'],
        'loggers': ['ZConfig'],
        # fg --reload
        'reload': ['hupper'],
        # What the recipe runs in, and what it loads there by itself.
        'recipe': ['zc.buildout >= 5.1', 'zc.recipe.egg'],
        'setproctitle': ['setproctitle'],
        'test': [
            'coverage',
            'hupper',
            'hypothesis',
            'manuel',
            'prometheus-client',
            'pytest',
            'pytest-timeout',
            'pytest-xdist',
            'setproctitle',
            'zc.buildout >= 5.1',
            'zc.recipe.egg',
        ],
    },
    entry_points={
        'console_scripts': [
            'zkzopeserver = zc.zkzopeserver.__main__:main',
        ],
        'paste.server_runner': ['main = zc.zkzopeserver:run'],
        'zc.buildout': [
            'default = zc.zkzopeserver.recipe:Recipe',
            'follow = zc.zkzopeserver.recipe:follow',
            'tree = zc.zkzopeserver.recipe:tree',
        ],
        'zc.buildout.uninstall': [
            'default = zc.zkzopeserver.recipe:uninstall',
            'follow = zc.zkzopeserver.recipe:uninstall',
            'tree = zc.zkzopeserver.recipe:uninstall',
        ],
    },
)
