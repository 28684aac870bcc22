package osapitest

import (
	"fmt"
	"slices"
)

// Shape compares our answers with recorded ones of a real OpenStack service: by keys and types, not by values.
type Shape struct {
	Optional []string // keys that some things of a kind have and others have not
	Free     []string // keys whose values have no fixed keys: maps that users fill
}

// Differences of got from want. Null fits everything; the elements of lists are compared with the first recorded one.
func (s Shape) Differences(want, got any) []string { return s.differences("", want, got) }

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
			if _, ok := got[key]; !ok && !slices.Contains(s.Optional, key) {
				found = append(found, at+"."+key+" is missing")
			}
			if !slices.Contains(s.Free, key) {
				found = append(found, s.differences(at+"."+key, value, got[key])...)
			}
		}
		for key := range got {
			if _, ok := want[key]; !ok && !slices.Contains(s.Optional, key) {
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
