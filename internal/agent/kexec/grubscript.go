package kexec

import (
	"errors"
	"strings"
)

// A grub script (GNU GRUB manual, 6.2 "Shell-like scripting") is parsed into statements; grub.go runs them.

// word is a word before its variables are known.
type word []piece

type piece struct {
	text     string
	variable bool // text is a variable's name
	quoted   bool // by either kind of quotes: not split at spaces
}

// literal is the word as text, if it has neither variables nor quotes: the only form in which keywords count.
func (w word) literal() string {
	if len(w) == 1 && !w[0].variable && !w[0].quoted {
		return w[0].text
	}
	return ""
}

type token struct {
	word word
	end  bool // of a statement: newline or semicolon
}

// stmt is a command, perhaps with a block in braces; or an if, when branches are set.
type stmt struct {
	words    []word
	block    []stmt
	branches []branch
}

// branch of an if; the else branch has no condition.
type branch struct{ condition, body []stmt }

var errGrubSyntax = errors.New("grub.cfg has a syntax error")

type scriptParser struct {
	tokens []token
	depth  int
}

func parseGrub(text string) ([]stmt, error) {
	p := &scriptParser{tokens: lexGrub(text)}
	stmts, stop, err := p.statements()
	if err == nil && stop != "" {
		err = errGrubSyntax
	}
	return stmts, err
}

// statements up to one of the stop words, or to the end of the text.
func (p *scriptParser) statements(stops ...string) ([]stmt, string, error) {
	if p.depth++; p.depth > 64 {
		return nil, "", errGrubSyntax
	}
	defer func() { p.depth-- }()
	var stmts []stmt
	for len(p.tokens) > 0 {
		t := p.tokens[0]
		p.tokens = p.tokens[1:]
		if t.end {
			continue
		}
		keyword := t.word.literal()
		for _, stop := range stops {
			if keyword == stop {
				return stmts, stop, nil
			}
		}
		var s stmt
		var err error
		switch keyword {
		case "if":
			s, err = p.conditional()
		case "for", "while", "until": // none decides what to boot in any known configuration
			if _, _, err = p.statements("do"); err == nil {
				_, _, err = p.statements("done")
			}
		default:
			s, err = p.command(t.word)
		}
		if err != nil {
			return nil, "", err
		}
		stmts = append(stmts, s)
	}
	if len(stops) > 0 {
		return nil, "", errGrubSyntax
	}
	return stmts, "", nil
}

func (p *scriptParser) conditional() (stmt, error) {
	var s stmt
	for {
		condition, _, err := p.statements("then")
		if err != nil {
			return s, err
		}
		body, stop, err := p.statements("elif", "else", "fi")
		if err != nil {
			return s, err
		}
		s.branches = append(s.branches, branch{condition, body})
		if stop == "else" {
			body, stop, err = p.statements("fi")
			if err != nil {
				return s, err
			}
			s.branches = append(s.branches, branch{nil, body})
		}
		if stop == "fi" {
			return s, nil
		}
	}
}

func (p *scriptParser) command(first word) (stmt, error) {
	s := stmt{words: []word{first}}
	for len(p.tokens) > 0 {
		t := p.tokens[0]
		if t.end || t.word.literal() == "}" {
			return s, nil
		}
		p.tokens = p.tokens[1:]
		if t.word.literal() == "{" {
			var err error
			s.block, _, err = p.statements("}")
			return s, err
		}
		s.words = append(s.words, t.word)
	}
	return s, nil
}

// lexGrub splits a script into words and ends of statements.
func lexGrub(text string) []token {
	var tokens []token
	var current word
	var plain strings.Builder
	inWord := false
	flush := func(quoted bool) {
		if plain.Len() > 0 || quoted {
			current = append(current, piece{text: plain.String(), quoted: quoted})
			plain.Reset()
		}
	}
	endWord := func() {
		flush(false)
		if inWord {
			tokens = append(tokens, token{word: current})
		}
		current, inWord = nil, false
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\r':
			endWord()
		case c == '\n' || c == ';':
			endWord()
			tokens = append(tokens, token{end: true})
		case c == '#' && !inWord:
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
		case c == '\\' && i+1 < len(text):
			i++
			if text[i] != '\n' {
				inWord = true
				plain.WriteByte(text[i])
			}
		case c == '\'':
			flush(false)
			inWord = true
			for i++; i < len(text) && text[i] != '\''; i++ {
				plain.WriteByte(text[i])
			}
			flush(true)
		case c == '"':
			flush(false)
			inWord = true
			for i++; i < len(text) && text[i] != '"'; i++ {
				switch {
				case text[i] == '\\' && i+1 < len(text) && strings.IndexByte("\\\"$\n", text[i+1]) >= 0:
					i++
					if text[i] != '\n' {
						plain.WriteByte(text[i])
					}
				case text[i] == '$' && variableAt(text[i:]) != "":
					flush(true)
					name := variableAt(text[i:])
					current = append(current, piece{text: bareName(name), variable: true, quoted: true})
					i += len(name) - 1
				default:
					plain.WriteByte(text[i])
				}
			}
			flush(true)
		case c == '$' && variableAt(text[i:]) != "":
			flush(false)
			inWord = true
			name := variableAt(text[i:])
			current = append(current, piece{text: bareName(name), variable: true})
			i += len(name) - 1
		default:
			inWord = true
			plain.WriteByte(c)
		}
	}
	endWord()
	return tokens
}

// variableAt gives the variable that s begins with, as it is written: $name or ${name}; empty when there is none.
func variableAt(s string) string {
	if strings.HasPrefix(s, "${") {
		if end := strings.IndexByte(s, '}'); end > 2 {
			return s[:end+1]
		}
		return ""
	}
	i := 1
	for i < len(s) && (s[i] == '_' || s[i] >= '0' && s[i] <= '9' || s[i] >= 'A' && s[i] <= 'Z' || s[i] >= 'a' && s[i] <= 'z') {
		i++
	}
	if i == 1 {
		return ""
	}
	return s[:i]
}

func bareName(variable string) string { return strings.Trim(variable, "${}") }

// expandGrub replaces the variables in a text without quotes.
func expandGrub(text string, variable func(string) string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if name := variableAt(text[i:]); text[i] == '$' && name != "" {
			out.WriteString(variable(bareName(name)))
			i += len(name) - 1
			continue
		}
		out.WriteByte(text[i])
	}
	return out.String()
}
