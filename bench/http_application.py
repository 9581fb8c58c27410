"""The application of http_servers.py, for who wants the name of a module."""
import importlib.util
from pathlib import Path

spec = importlib.util.spec_from_file_location(
    'bench_http', Path(__file__).with_name('http_servers.py'))
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
application = module.application
