import gc
import os

from django.core.wsgi import get_wsgi_application

# See manage.py.
gc.disable()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bridge.settings")
django = get_wsgi_application()

# The settings are there from here on. Pages are loaded before the first of them is asked for, and stay.
from bridge import static_files, urls  # noqa: E402, F401
from bridge.chunked_bodies import WholeBodies  # noqa: E402

application = WholeBodies(django)

gc.freeze()
static_files.warn_if_uncollected()
