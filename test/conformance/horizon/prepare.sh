# What the packages' own scripts would have done, run by dash inside the root folder; settings.py comes on standard input.
dashboard=/usr/lib/python3/dist-packages/openstack_dashboard
share=/usr/share/openstack-dashboard

# python3-requests does not load without authorities to trust.
mkdir -p /etc/ssl/certs
cat /usr/share/ca-certificates/mozilla/*.crt >/etc/ssl/certs/ca-certificates.crt

ln -s /etc/openstack-dashboard/policy $dashboard/conf
ln -s $share/themes $dashboard/themes
ln -s /etc/openstack-dashboard/local_settings.d $dashboard/local/local_settings.d
cp $share/examples/local_settings.py $dashboard/local/
cat >/etc/openstack-dashboard/local_settings.d/_9999_ingot.py

mkdir -p /tmp /var/lib/openstack-dashboard/static /var/lib/openstack-dashboard/secret-key
python3 -m compileall -q /usr/lib/python3/dist-packages
python3 $share/manage.py collectstatic --noinput --verbosity 0
python3 $share/manage.py compress --force

# Two of the packages' libraries lie in one folder, of which collectstatic takes the first name only; the page of the
# serial console asks for the second.
cp -a /var/lib/openstack-dashboard/static/horizon/lib/angular_schema_form /var/lib/openstack-dashboard/static/horizon/lib/angular
