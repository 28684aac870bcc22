// Package identity knows who may do what: domains, projects, users, roles and their assignments, the catalog of
// services, and tokens.
//
// A token is a signed statement (JWS, EdDSA) of who the caller is, in which scope and with which roles. Every process
// that shares the database knows the keys, so it validates a token with its own processor and without a query; only
// revocations are read, at most once a second. The wire is internal/api/keystone.
package identity
