"""The site in Django."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse
from django.http import HttpResponse
from django.http import HttpResponseRedirect
from django.http import JsonResponse
from django.http import StreamingHttpResponse
from django.middleware.gzip import GZipMiddleware
from django.urls import path

from zkzopeserver_support import frameworks

_folder = Path()


class GZip(GZipMiddleware):
    """Without its random bytes, so that answers can be compared."""

    max_random_bytes = 0


def make_application(folder: Path) -> Any:
    """Return the site; Django has one in a process."""
    global _folder
    _folder = folder
    if not settings.configured:
        settings.configure(
            DEBUG=False, ALLOWED_HOSTS=['*'], ROOT_URLCONF=__name__,
            SECRET_KEY='of a test', DATA_UPLOAD_MAX_MEMORY_SIZE=None,
            DEFAULT_CHARSET='utf-8', USE_TZ=True, LOGGING_CONFIG=None,
            MIDDLEWARE=[
                'django.middleware.common.CommonMiddleware',
                'django.middleware.http.ConditionalGetMiddleware',
                f'{__name__}.GZip'])
        django.setup()
    return get_wsgi_application()


def hello(request):
    return HttpResponse('Hello, ' + request.GET.get('name', 'world'))


def echo(request):
    return HttpResponse(frameworks.told(request.environ, request.body),
                        content_type='application/json')


def form(request):
    return JsonResponse(dict(request.POST.lists()))


def upload(request):
    return JsonResponse({
        name: [file.name, frameworks.digest(file.read())]
        for name, file in request.FILES.items()})


def lines(request):
    return StreamingHttpResponse(frameworks.lines(), content_type='text/csv')


def file(request):
    return FileResponse(open(_folder / 'data.bin', 'rb'))


def moved(request):
    return HttpResponseRedirect('/hello')


def empty(request):
    return HttpResponse(status=204)


def cookie(request):
    response = HttpResponse(request.COOKIES.get('seen', 'nothing'))
    response.set_cookie('seen', 'a value; with "quotes"')
    response.set_cookie('other', '1', httponly=True)
    return response


def text(request):
    return HttpResponse('\N{SNOWMAN}' * 20_000)


def broken(request):
    raise RuntimeError('as it is to')


urlpatterns = [path(view.__name__, view) for view in (
    hello, echo, form, upload, lines, file, moved, empty, cookie, text,
    broken)]
