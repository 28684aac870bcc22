package db

import "slices"

// Announce has all who listen for the topic called when the transaction is committed, if it is.
func (tx *Tx) Announce(topic string) {
	if !slices.Contains(tx.announced, topic) {
		tx.announced = append(tx.announced, topic)
	}
}

// Listen has f called after each transaction of this process that announced the topic. f must not block.
func (d *DB) Listen(topic string, f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listeners == nil {
		d.listeners = map[string][]func(){}
	}
	d.listeners[topic] = append(d.listeners[topic], f)
}

func (d *DB) tell(topics []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, topic := range topics {
		for _, f := range d.listeners[topic] {
			f()
		}
	}
}
