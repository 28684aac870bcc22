// Package neutron is the Networking API v2.0: internal/network (networks, subnets and ports, subnet pools and address scopes,
// what projects share, tags and quotas), internal/router (routers, floating IPs, port forwardings), internal/securitygroup,
// internal/qos and internal/trunk.
//
// What is not there yet is one table (absent.go): its lists are empty, its creates say so, and `extensions`
// (extensions.go) names only what can be used. Lists are filtered, sorted and paged over the objects as the caller sees
// them (lists.go); what bodies have in common is in body.go.
package neutron
