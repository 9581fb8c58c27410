"""The site in Pyramid; ``/echo`` takes PUSH, as devpi's server does."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.httpexceptions import HTTPNoContent
from pyramid.response import FileResponse
from pyramid.response import Response

from zkzopeserver_support import frameworks


def make_application(folder: Path) -> Any:
    """Return the site."""
    with Configurator(settings={'folder': folder}) as config:
        for view in (hello, echo, form, upload, lines, file, moved, empty,
                     cookie, text, broken):
            config.add_route(view.__name__, f'/{view.__name__}')
            config.add_view(view, route_name=view.__name__)
        return config.make_wsgi_app()


def hello(request):
    return Response('Hello, ' + request.GET.get('name', 'world'))


def echo(request):
    return Response(frameworks.told(request.environ, request.body),
                    content_type='application/json', charset='utf-8')


def form(request):
    return Response(json_body={name: request.POST.getall(name)
                               for name in request.POST})


def upload(request):
    return Response(json_body={
        name: [file.filename, frameworks.digest(file.file.read())]
        for name, file in request.POST.items()})


def lines(request):
    return Response(app_iter=frameworks.lines(), content_type='text/csv')


def file(request):
    response = FileResponse(request.registry.settings['folder'] / 'data.bin',
                            request=request)
    response.conditional_response = True
    return response


def moved(request):
    return HTTPFound('/hello')


def empty(request):
    return HTTPNoContent()


def cookie(request):
    response = Response(request.cookies.get('seen', 'nothing'))
    response.set_cookie('seen', 'a-value')
    response.set_cookie('other', '1', httponly=True)
    return response


def text(request):
    return Response('\N{SNOWMAN}' * 20_000)


def broken(request):
    raise RuntimeError('as it is to')
