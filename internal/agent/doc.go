// Package agent is the body of ingot-agent: it says hello to the control plane, asks for commands by long poll, runs
// them one at a time on a Hardware and reports until the report is taken. The contract is internal/agentapi.
//
// What touches a machine lies behind Hardware; internal/agent/metal is the real one, and a simulated machine can bring
// its own to the same loop.
//
// The loop never ends by itself. It remembers the results of its commands in memory, so that an order delivered twice
// is answered twice and run once; it keeps its session over restarts of the control plane and says hello again, with
// the same token and secret, when the session is refused.
package agent
