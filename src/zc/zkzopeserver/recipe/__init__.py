"""The zc.buildout recipe: a section becomes an ini and a start script.

`section` knows the options of a buildout section, `server` what they say in
the ini, `ini` how an ini is written, `loading` what PasteDeploy makes of it,
`layout` where things go, `files` how they get there, `eggs` the scripts;
`part` is the recipe itself.
"""
from zc.zkzopeserver.recipe.part import Recipe
from zc.zkzopeserver.recipe.part import uninstall

__all__ = ['Recipe', 'uninstall']
