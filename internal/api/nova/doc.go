// Package nova speaks OpenStack's Compute API v2.1 (https://docs.openstack.org/api-ref/compute/), microversions 2.1 to
// 2.96, for internal/instance and the domains beside it. It translates and decides nothing: fields and statuses are
// those of a recorded Nova (testdata/golden), and what this cloud does not do is refused in Nova's own words.
//
// routes.go is the table of all that is answered; a server's fields and their versions are in serverview.go, what may be
// asked of one in actions.go.
package nova
