// Package workflow runs long one-shot work with an outcome somebody waits for (deploy, clean, snapshot) as a named,
// ordered list of steps kept in SQL, so that any process can go on where another died.
//
// A flow is a list of steps that fits one screen, apart from the bodies:
//
//	workflow.Flow[deployState]{Name: "deploy", Steps: []workflow.Step[deployState]{
//		workflow.Tx("claim", "Choose a machine", claim).UndoTx(unclaim),
//		workflow.Do("write-image", "Write the image to the disk", writeImage),
//	}}
//
// A Tx body runs inside the SQL transaction that records its step: exactly once. A Do body touches the world: at least
// once, so it is written as "ensure". Ids and random choices are made in an earlier Tx step. A body ends with nil or
// with an outcome (outcome.go): Retry, Wait, Rewind, Abort, Stuck; any other error is retried, then aborts. Waiting
// holds no goroutine: the run is parked until Signal or its deadline, and then the body runs again and looks.
//
// Runs of one resource never overlap (a unique index). A run is held under a lease with an epoch; every commit checks
// the epoch, and bodies hand it to agents and drivers, so an owner that lost its lease can no longer do harm.
package workflow
