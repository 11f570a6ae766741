# One image, two commands: the web server (default) and `python manage.py worker`. docs/operating.md says how to run it.
FROM python:3.11-slim-bookworm AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY requirements.lock /tmp/
# Werkzeug serves the local Kommo alone, which stays in checkouts and in the wheel.
RUN /opt/venv/bin/pip install --require-virtualenv --require-hashes -r /tmp/requirements.lock \
    && /opt/venv/bin/pip uninstall --yes pip setuptools werkzeug

FROM python:3.11-slim-bookworm
# A number, so that Kubernetes too can see that it is not root.
RUN groupadd --system --gid 10001 bridge \
    && useradd --system --uid 10001 --gid bridge --home-dir /app --no-create-home --shell /usr/sbin/nologin bridge \
    && install --directory --owner=bridge --group=bridge /app/data
COPY --from=packages /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ENV_FILE=/dev/null \
    LOG_FORMAT=json WEB_BIND=0.0.0.0:8000 FORWARDED_ALLOW_IPS=*
WORKDIR /app
COPY manage.py ./
COPY bridge/ bridge/
COPY common/ common/
COPY followups/ followups/
COPY leads/ leads/
COPY locale/ locale/
COPY playbooks/ playbooks/
COPY templates/ templates/
COPY deploy/gunicorn.conf.py deploy/
# The values are for this command alone: nothing of them stays in the image.
RUN SECRET_KEY=only-to-collect-static-files FIELD_ENCRYPTION_KEYS=MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE= \
    DATABASE_URL=sqlite://:memory: python manage.py collectstatic --noinput --verbosity 0
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["gunicorn", "-c", "deploy/gunicorn.conf.py", "bridge.wsgi:application"]
