// Package securitygroup knows which packets ports let in and out: security groups with their rules, which ports are in
// which group, and address groups that rules may name. It knows ports by their ids only; network asks it.
package securitygroup
