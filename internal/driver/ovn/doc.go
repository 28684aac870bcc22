// Package ovn makes the rows of OVN's northbound database equal to the rows wanted, and tells what OVN made of them.
//
// A row wanted (row.go) is a model of package nbdb with an ID. Its UUID is made of its table and ID, so that rows refer to
// each other before they exist, need no lookup afterwards, and come back as they were when the database was lost. Rows
// belong to a scope: one network, one port, one router. Apply (apply.go) brings one scope into the wanted state in one
// transaction, at a cost that does not depend on the other scopes; ApplyAll compares everything. Both compute the
// operations with the same pure function (plan.go) and look again after the transaction: they return when what is there is
// what was wanted.
//
// Other people's rows in the same database are never changed: ours carry a mark in external_ids, with their ID and scope.
//
// There is one connection and one monitor for each database (link.go). When it is lost, a new one is made and everything
// is read again: no state of the old one is trusted.
//
// Northbound and southbound models are generated from the schemas in schema/ by `go generate`.
package ovn

//go:generate go run ./modelgen
