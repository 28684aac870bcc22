package console

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/ingotcloud/ingot/internal/console/forensics"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Records gives what is recorded of an instance's console, oldest first: from whichever process records it.
func (s *Service) Records(ctx context.Context, instance string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		url, err := s.Holder(ctx, instance)
		if err != nil {
			yield(Record{}, err)
			return
		}
		from := s.own(instance)
		if url != "" {
			if theirs, err := s.fetch(ctx, url, instance); err == nil {
				defer theirs.Close() //nolint:errcheck // it was read only
				from = readRecords(theirs)
			} else {
				s.log.Warn("a console's log is not to be had from the process that records it; showing what is here", "instance", instance, "url", url, "error", err)
			}
		}
		for record, err := range from {
			if !yield(record, err) {
				return
			}
		}
	}
}

// own gives what this process's folder has.
func (s *Service) own(instance string) iter.Seq2[Record, error] {
	s.mu.Lock()
	l := s.lines[instance]
	s.mu.Unlock()
	if l != nil {
		l.flush()
	}
	return readRecording(s.dir(instance))
}

func (s *Service) fetch(ctx context.Context, url, instance string) (io.ReadCloser, error) {
	token, err := s.Grant(ctx, Grant{Kind: Log, Instance: instance})
	if err != nil {
		return nil, err
	}
	return s.peers.Records(ctx, url, token)
}

// WriteRecords gives another process what this one recorded.
func (s *Service) WriteRecords(ctx context.Context, token string, to io.Writer) error {
	grant, err := s.redeem(ctx, token)
	if err != nil {
		return err
	}
	if grant.Kind != Log {
		return errToken
	}
	var buffer []byte
	for record, err := range s.own(grant.Instance) {
		if err != nil {
			return err
		}
		buffer = record.appendTo(buffer[:0])
		if _, err := to.Write(buffer); err != nil {
			return err
		}
	}
	return nil
}

// Tail is the end of a console's log as text; all of it with lines below 0. What serves the terminal only is left out.
func (s *Service) Tail(ctx context.Context, instance string, lines int) (string, error) {
	text, err := s.Text(ctx, instance, false)
	if err != nil || lines < 0 {
		return text, err
	}
	from := len(strings.TrimSuffix(text, "\n"))
	for range lines {
		if from = strings.LastIndexByte(text[:from], '\n'); from < 0 {
			return text, nil
		}
	}
	return text[min(len(text), from+1):], nil
}

// Text is the whole log; with times, each line begins with when it was printed.
func (s *Service) Text(ctx context.Context, instance string, times bool) (string, error) {
	var text bytes.Buffer
	atStart := true // at the start of a line
	stamp := func(r Record) {
		if times && atStart {
			text.WriteString(r.At.Format("2006-01-02T15:04:05.000Z "))
		}
	}
	for r, err := range s.Records(ctx, instance) {
		if err != nil {
			return "", fault.Wrap(err, fault.Unavailable, "The server's console log cannot be read now.")
		}
		switch r.Kind {
		case output:
			for line := range bytes.Lines(r.Data) {
				stamp(r)
				text.Write(line)
				atStart = line[len(line)-1] == '\n'
			}
		case notice, powerOn:
			if !atStart {
				text.WriteByte('\n')
			}
			atStart = true
			stamp(r)
			text.WriteString(r.sentence() + "\n")
		}
	}
	plain := forensics.Plain(strings.ReplaceAll(strings.ReplaceAll(text.String(), "\r\n", "\n"), "\r", "\n"))
	return strings.ToValidUTF8(plain, "\ufffd"), nil
}

// sentence is what we have to say, told apart from what machines print.
func (r Record) sentence() string {
	what := string(r.Data)
	if r.Kind == powerOn {
		what = "the machine was switched on"
	}
	return fmt.Sprintf("[ingot, %s: %s]", r.At.Format("2006-01-02 15:04:05 MST"), what)
}

// Screen opens the machine's picture as a raw RFB stream. The caller closes it.
func (s *Service) Screen(ctx context.Context, instance string) (io.ReadWriteCloser, error) {
	loans, err := s.wires.Lent(ctx)
	if err != nil {
		return nil, err
	}
	for _, loan := range loans {
		if loan.Instance == instance {
			return s.wires.OpenScreen(ctx, loan.Machine)
		}
	}
	return nil, errNoMachine
}
