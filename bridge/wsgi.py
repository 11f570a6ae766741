import gc
import os

from django.core.wsgi import get_wsgi_application

# See manage.py.
gc.disable()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bridge.settings")
application = get_wsgi_application()
