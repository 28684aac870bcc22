// Package neutron is the Networking API v2.0 over internal/network (networks, subnets, ports, their tags and
// quotas) and internal/router (routers, floating IPs, port forwardings).
//
// What is not there yet (security groups, …) is one table (absent.go): its lists are empty, its creates say so,
// and `extensions` (extensions.go) names only what can be used. Lists are filtered, sorted and paged over the objects as
// the caller sees them (lists.go).
package neutron
