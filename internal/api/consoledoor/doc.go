// Package consoledoor serves the console page and its websockets under /console: the wire of internal/console.
//
// A token (from Nova's remote-consoles) opens a websocket, or the page, which gets a key of its own for what it does from
// then on; neither a cookie nor a Keystone token is involved, so it works in another origin's iframe. Queries hold tokens:
// nothing here writes them to a log.
package consoledoor
