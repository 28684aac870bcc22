// Package schema has the schemas of OVN's databases (OVN 25.03), for making databases where OVN itself is of another version
// or not installed. README.md says where they are from.
package schema

import _ "embed"

// Northbound is the schema of OVN_Northbound.
//
//go:embed ovn-nb.ovsschema
var Northbound []byte

// Southbound is the schema of OVN_Southbound.
//
//go:embed ovn-sb.ovsschema
var Southbound []byte
