package osapitest

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Recording is an answer of a real OpenStack service (Zed), as a package keeps it in a file of testdata/golden. Each
// service's recordings have what they need of it.
type Recording struct {
	Name    string `json:"-"` // of the file
	Caller  string // the token's owner
	Tag     string // what it was recorded for
	Version string // the microversion
	Request struct {
		Method, Path, Query string
		Headers             map[string]string
		Body                any
	}
	Body     any
	Status   int
	Location bool // there was the header
	Response any  // nil: no body, or one that is no JSON
}

// Recordings are those of the package whose test it is, by name, and not fewer than the least.
func Recordings(t *testing.T, least int) (all []Recording) {
	t.Helper()
	files, err := filepath.Glob("testdata/golden/*.json")
	if err != nil || len(files) < least {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r := Recording{Name: strings.TrimSuffix(filepath.Base(file), ".json")}
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, r)
	}
	return all
}

// Shape compares our answers with recorded ones: by keys and types, not by values.
type Shape struct {
	Optional []string // keys that some things of a kind have and others have not, as patterns (path.Match)
	Free     []string // keys whose values have no fixed keys: maps that users fill
}

// Check fails the test where our answer to the recording's request is unlike it.
func (s Shape) Check(t *testing.T, want Recording, got Answer) {
	t.Helper()
	if got.Status != want.Status {
		t.Fatalf("%s: %d %s, want %d", want.Name, got.Status, got.Text, want.Status)
	}
	if recorded, ok := want.Response.(map[string]any); ok {
		for _, difference := range s.differences("", recorded, got.Body) {
			t.Error(difference)
		}
	} else if got.Text != "" {
		t.Errorf("a body: %s", got.Text)
	}
}

func (s Shape) optional(key string) bool {
	return slices.ContainsFunc(s.Optional, func(pattern string) bool {
		is, err := path.Match(pattern, key)
		return is && err == nil
	})
}

// differences of got from want. Null fits everything; the elements of lists are compared with the first recorded one.
func (s Shape) differences(at string, want, got any) (found []string) {
	if want == nil || got == nil {
		return nil
	}
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s: %T, want an object", at, got)}
		}
		for key, value := range want {
			if _, ok := got[key]; !ok && !s.optional(key) {
				found = append(found, at+"."+key+" is missing")
			}
			if !slices.Contains(s.Free, key) {
				found = append(found, s.differences(at+"."+key, value, got[key])...)
			}
		}
		for key := range got {
			if _, ok := want[key]; !ok && !s.optional(key) {
				found = append(found, at+"."+key+" is more than the service has")
			}
		}
	case []any:
		got, ok := got.([]any)
		if !ok {
			return []string{fmt.Sprintf("%s: %T, want a list", at, got)}
		}
		for i := range got {
			if len(want) > 0 {
				found = append(found, s.differences(fmt.Sprintf("%s[%d]", at, i), want[0], got[i])...)
			}
		}
	default:
		if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) {
			found = append(found, fmt.Sprintf("%s: %T, want %T", at, got, want))
		}
	}
	return found
}
