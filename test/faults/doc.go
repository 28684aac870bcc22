// Package faults breaks a running cloud on purpose: `ingot serve` runs as the process it is in production and is killed,
// stopped, starved of disk and given bad machines, while clients and machines go on talking to it.
//
// Machines are simulated at their protocols: a virtual BMC that speaks Redfish, and the agent's real loop, which the
// control plane's own boot artefacts started. What happened on them is counted there, and compared with the database.
//
// Jumps of the clock are not here: the host's clock is everybody's. The tests of internal/workflow and internal/machine
// turn a clock of their own.
package faults
