# Horizon's settings for a cloud that is told by the environment, over those of Debian's example.
import os

ALLOWED_HOSTS = ["127.0.0.1"]
SECRET_KEY = os.environ.get("HORIZON_SECRET", "none while the stylesheets are made")
OPENSTACK_KEYSTONE_URL = os.environ.get("HORIZON_KEYSTONE", "")
STATIC_ROOT = "/var/lib/openstack-dashboard/static"
# Sessions live there too, and 300 entries, which is the default, are soon over.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 100000},
    },
}
OPENSTACK_CINDER_FEATURES = {"enable_backup": True}  # its panels show only then
