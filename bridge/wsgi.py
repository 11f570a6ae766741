import gc
import os

from django.core.wsgi import get_wsgi_application

# See manage.py.
gc.disable()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bridge.settings")
django = get_wsgi_application()

from bridge import static_files  # noqa: E402  (the settings are there from here on)
from bridge.chunked import WholeBodies  # noqa: E402

application = WholeBodies(django)

static_files.warn_if_uncollected()
