package kexec

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// test is the [ command, or test. Conditions are joined by -o and, tighter, by -a.
func (g *grub) test(args []string) bool {
	if len(args) > 0 && args[len(args)-1] == "]" {
		args = args[:len(args)-1]
	}
	for _, alternative := range splitAt(args, "-o") {
		all := true
		for _, condition := range splitAt(alternative, "-a") {
			all = all && g.condition(condition)
		}
		if all {
			return true
		}
	}
	return false
}

func splitAt(args []string, separator string) [][]string {
	parts := [][]string{nil}
	for _, arg := range args {
		if arg == separator {
			parts = append(parts, nil)
			continue
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], arg)
	}
	return parts
}

func (g *grub) condition(args []string) bool {
	if len(args) > 0 && args[0] == "!" {
		return !g.condition(args[1:])
	}
	switch len(args) {
	case 1:
		return args[0] != ""
	case 2:
		switch args[0] {
		case "-n":
			return args[1] != ""
		case "-z":
			return args[1] == ""
		case "-e", "-f", "-s", "-d":
			return g.isThere(args[0], args[1])
		}
	case 3:
		a, errA := strconv.Atoi(args[0])
		b, errB := strconv.Atoi(args[2])
		numbers := errA == nil && errB == nil
		switch args[1] {
		case "=", "==":
			return args[0] == args[2]
		case "!=":
			return args[0] != args[2]
		case "-eq":
			return numbers && a == b
		case "-ne":
			return numbers && a != b
		case "-lt":
			return numbers && a < b
		case "-le":
			return numbers && a <= b
		case "-gt":
			return numbers && a > b
		case "-ge":
			return numbers && a >= b
		}
	}
	return false
}

func (g *grub) isThere(operator, name string) bool {
	v, file, err := g.resolve(name)
	if err != nil {
		return false
	}
	info, err := fs.Stat(v.FS, rooted(file))
	switch {
	case err != nil:
		return false
	case operator == "-d":
		return info.IsDir()
	case operator == "-f":
		return !info.IsDir()
	case operator == "-s":
		return info.Size() > 0
	}
	return true
}

// search sets a variable to the volume that has a UUID, a label or a file.
func (g *grub) search(name string, args []string) bool {
	by, variable := strings.TrimPrefix(name, "search."), "root"
	var names []string
	for _, arg := range args {
		option, value, _ := strings.Cut(arg, "=")
		switch {
		case option == "--fs-uuid" || option == "-u":
			by = "fs_uuid"
		case option == "--label" || option == "--fs-label" || option == "-l":
			by = "fs_label"
		case option == "--file" || option == "-f":
			by = "file"
		case option == "--set" && value != "":
			variable = value
		case !strings.HasPrefix(arg, "-"):
			names = append(names, arg)
		}
	}
	if len(names) == 0 {
		return false
	}
	wanted := names[len(names)-1]
	if name != "search" { // search.fs_uuid NAME VARIABLE HINTS
		wanted = names[0]
		if len(names) > 1 {
			variable = names[1]
		}
	}
	for i := range g.volumes {
		v := &g.volumes[i]
		if by == "fs_uuid" && strings.EqualFold(v.UUID, wanted) || by == "fs_label" && v.Label == wanted || by == "file" && v.has(wanted) {
			g.variables[variable] = "hd0"
			if v.Partition > 0 {
				g.variables[variable] = "hd0,gpt" + strconv.Itoa(v.Partition)
			}
			return true
		}
	}
	return false
}

// loadEnv reads an environment block: a header line, then name=value lines, then padding.
func (g *grub) loadEnv(args []string) bool {
	file := g.variables["prefix"] + "/grubenv"
	var wanted []string
	for i := 0; i < len(args); i++ {
		switch {
		case (args[i] == "-f" || args[i] == "--file") && i+1 < len(args):
			i++
			file = args[i]
		case strings.HasPrefix(args[i], "--file="):
			file = strings.TrimPrefix(args[i], "--file=")
		case !strings.HasPrefix(args[i], "-"):
			wanted = append(wanted, args[i])
		}
	}
	v, name, err := g.resolve(file)
	if err != nil {
		return false
	}
	text, err := v.read(name)
	if err != nil {
		return false
	}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "=")
		if !ok || strings.HasPrefix(line, "#") || len(wanted) > 0 && !slices.Contains(wanted, key) {
			continue
		}
		g.variables[key] = value
	}
	return true
}
