package vbmc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
)

// The log keeps this many entries; then the oldest go (OverWritePolicy WrapsWhenFull).
const logLimit = 1000

// entry is an Event with its place in the log.
type entry struct {
	id   int
	time time.Time
	Event
}

// events is the system event log and those who follow it.
type events struct {
	clock     clock.Clock
	mu        sync.Mutex
	next      int
	log       []entry
	listeners map[chan entry]struct{}
}

func newEvents(c clock.Clock) *events {
	return &events{clock: c, listeners: map[chan entry]struct{}{}}
}

// add logs the event and tells the streams. A listener that does not keep up is cut off, so that it knows it missed
// something.
func (e *events) add(event Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.next++
	x := entry{e.next, e.clock.Now(), event}
	e.log = append(e.log, x)
	if len(e.log) > logLimit {
		e.log = e.log[1:]
	}
	for l := range e.listeners {
		select {
		case l <- x:
		default:
			delete(e.listeners, l)
			close(l)
		}
	}
}

func (e *events) listen() chan entry {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := make(chan entry, 64)
	e.listeners[l] = struct{}{}
	return l
}

func (e *events) unlisten(l chan entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.listeners, l)
}

func (e *events) all() []entry {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]entry(nil), e.log...)
}

func (e *events) clear() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.log = nil
}

const entrySchema = "LogEntry.v1_15_0.LogEntry"

func (x entry) object() object {
	return object{
		"Name": fmt.Sprintf("Log Entry %d", x.id), "EntryType": "SEL", "Created": x.time.Format(time.RFC3339),
		"Severity": x.Severity, "Message": x.Message, "EntryCode": "Assert", "SensorType": "System Event",
	}
}

func getLogService(s *Redfish, _ *call) (object, error) {
	return object{
		"ServiceEnabled": true, "LogEntryType": "SEL", "OverWritePolicy": "WrapsWhenFull", "MaxNumberOfRecords": logLimit,
		"DateTime": s.clock.Now().Format(time.RFC3339), "DateTimeLocalOffset": "+00:00", "Status": healthy(),
		"Entries": link(logPath + "/Entries"),
		"Actions": object{"#LogService.ClearLog": object{"target": root + "/" + logPath + "/Actions/LogService.ClearLog"}},
	}, nil
}

// getLogEntries gives the entries whole: LogEntryCollection is the one collection that clients expect expanded
// (DSP0266, "Expanded resources").
func getLogEntries(s *Redfish, c *call) (object, error) {
	all := []object{}
	for _, x := range s.events.all() {
		all = append(all, finish(x.object(), c.r.URL.Path+"/"+strconv.Itoa(x.id), entrySchema, ""))
	}
	return object{"Members": all, "Members@odata.count": len(all), "Description": "The machine's events"}, nil
}

func getLogEntry(s *Redfish, c *call) (object, error) {
	for _, x := range s.events.all() {
		if strconv.Itoa(x.id) == c.r.PathValue("id") {
			return x.object(), nil
		}
	}
	return nil, c.missing()
}

func clearLog(s *Redfish, c *call) (*reply, error) {
	var body struct{ LogEntriesETag *string }
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	s.events.clear()
	return nil, nil
}

func getEventService(*Redfish, *call) (object, error) {
	return object{
		"ServiceEnabled": true, "Status": healthy(),
		"EventFormatTypes":   []string{"Event"},
		"ServerSentEventUri": root + "/EventService/SSE",
		"Subscriptions":      link("EventService/Subscriptions"),
	}, nil
}

// serveEvents streams the machine's events (DSP0266, "Server-sent events"): each as an Event resource.
func serveEvents(s *Redfish, w http.ResponseWriter, r *http.Request) {
	l := s.events.listen()
	defer s.events.unlisten(l)
	w.Header().Set("Content-Type", "text/event-stream;charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("OData-Version", "4.0")
	stream := http.NewResponseController(w)
	// A comment at once, so that the client knows it will miss nothing from here on; and now and then, so that a dead
	// connection is noticed.
	say := func(format string, args ...any) bool {
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return false
		}
		return stream.Flush() == nil
	}
	alive := time.NewTicker(30 * time.Second)
	defer alive.Stop()
	for ok := say(": here are the events\n\n"); ok; {
		select {
		case x, more := <-l:
			if !more {
				return
			}
			ok = say("id: %d\ndata: %s\n\n", x.id, x.event())
		case <-alive.C:
			ok = say(": still here\n\n")
		case <-r.Context().Done():
			return
		}
	}
}

// event is the entry as it goes over the stream (Event.v1_7_2). The message's registry is our own: DMTF's have no
// words for a machine that crashed.
func (x entry) event() []byte {
	id := strconv.Itoa(x.id)
	text, err := json.Marshal(object{
		"@odata.type": "#Event.v1_7_0.Event", "Id": id, "Name": "Event",
		"Events": []object{{
			"MemberId": "0", "EventId": id, "EventType": "Alert", "EventTimestamp": x.time.Format(time.RFC3339),
			"Severity": x.Severity, "MessageSeverity": x.Severity, "Message": x.Message, "MessageId": "IngotLab.1.0.MachineEvent",
			"OriginOfCondition": link(systemPath), "LogEntry": link(logPath + "/Entries/" + id),
		}},
	})
	if err != nil {
		panic(err) // strings only
	}
	return text
}
