// Package agentdoor is the door that machines use: the HTTP side of internal/agentapi for the agents in their RAM disks.
// It is a listener of its own, TLS with a key that every boot artefact pins, and knows no tenants and no tokens of
// theirs. A machine gets in with the credential of its present boot and reaches its own record only: its commands, and
// the image that it is writing right now.
package agentdoor
