package forensics

import "strings"

// texts finds which of many short texts a line has, in one pass over the line: a log has 100,000 lines, of which nearly
// all have none. Texts have two bytes at least.
type texts struct {
	list   []string
	head   [1 << 16]uint8 // by a text's first two bytes: its group; 0: none begins so
	groups [][]int        // indices of list
}

func newTexts(list []string) *texts {
	t := &texts{list: list, groups: make([][]int, 1)}
	for i, text := range list {
		head := &t.head[uint(text[0])<<8|uint(text[1])]
		if *head == 0 {
			*head = uint8(len(t.groups))
			t.groups = append(t.groups, nil)
		}
		t.groups[*head] = append(t.groups[*head], i)
	}
	return t
}

// in gives the texts that the line has; nil: none.
func (t *texts) in(line string) (found map[string]bool) {
	for at := range len(line) - 1 {
		group := t.head[uint(line[at])<<8|uint(line[at+1])]
		if group == 0 {
			continue
		}
		for _, i := range t.groups[group] {
			if strings.HasPrefix(line[at:], t.list[i]) {
				if found == nil {
					found = map[string]bool{}
				}
				found[t.list[i]] = true
			}
		}
	}
	return found
}

// known are all texts that signs and reasons have.
var known = newTexts(knownTexts())

func knownTexts() []string {
	list := []string{promptText}
	for _, sign := range signs {
		list = append(list, sign.text)
	}
	for _, f := range faults {
		if f.Reason != "" {
			list = append(list, f.Reason)
		}
		for _, sign := range f.Signs {
			list = append(list, sign.Text)
		}
	}
	return list
}
