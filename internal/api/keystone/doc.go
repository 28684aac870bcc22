// Package keystone speaks OpenStack's Identity API v3 (https://docs.openstack.org/api-ref/identity/v3) for
// internal/identity. It translates and decides nothing.
package keystone
