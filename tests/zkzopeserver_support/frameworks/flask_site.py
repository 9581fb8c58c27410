"""The site in Flask."""
from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import flask

from zkzopeserver_support import frameworks

METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PUSH']


def make_application(folder: Path) -> Any:
    """Return the site."""
    site = flask.Flask(__name__)
    logging.getLogger(site.name).setLevel(logging.CRITICAL)

    @site.get('/hello')
    def hello():
        return 'Hello, ' + flask.request.args.get('name', 'world')

    @site.route('/echo', methods=METHODS, provide_automatic_options=False)
    def echo():
        return flask.Response(
            frameworks.told(flask.request.environ, flask.request.get_data()),
            mimetype='application/json')

    @site.post('/form')
    def form():
        return flask.jsonify(flask.request.form.to_dict(flat=False))

    @site.post('/upload')
    def upload():
        return flask.jsonify({
            name: [file.filename, frameworks.digest(file.read())]
            for name, file in flask.request.files.items()})

    @site.get('/lines')
    def lines():
        return flask.Response(frameworks.lines(), mimetype='text/csv')

    @site.get('/file')
    def file():
        return flask.send_file(folder / 'data.bin', conditional=True)

    @site.get('/moved')
    def moved():
        response = flask.redirect('/hello')
        # As Zope does.
        response.headers['Server'] = 'the site'
        return response

    @site.get('/empty')
    def empty():
        return '', 204

    @site.get('/cookie')
    def cookie():
        response = flask.make_response(
            flask.request.cookies.get('seen', 'nothing'))
        response.set_cookie('seen', 'a value; with "quotes"')
        response.set_cookie('other', '1', httponly=True)
        return response

    @site.get('/text')
    def text():
        return '\N{SNOWMAN}' * 20_000

    @site.get('/broken')
    def broken():
        raise RuntimeError('as it is to')

    return site
