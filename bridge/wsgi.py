import gc
import os

from django.core.wsgi import get_wsgi_application

# See manage.py.
gc.disable()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bridge.settings")
application = get_wsgi_application()

from bridge import static_files  # noqa: E402  (the settings are there from here on)

static_files.warn_if_uncollected()
