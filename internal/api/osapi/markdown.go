package osapi

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Markdown is a table of all routes: what docs/api.md shows.
func Markdown(dialects ...Dialect) string {
	var text strings.Builder
	text.WriteString("# The routes\n\nGenerated from the route tables in `internal/api`.\n")
	for _, d := range dialects {
		fmt.Fprintf(&text, "\n## %s at `%s`\n\n", d.Name, cmp.Or(d.Mount, "/"))
		if d.Versions.Max != (Microversion{}) {
			fmt.Fprintf(&text, "Microversions %s to %s.\n\n", d.Versions.Min, d.Versions.Max)
		}
		text.WriteString("| method | path | versions | policy | status |\n|---|---|---|---|---|\n")
		routes := slices.Clone(d.Routes)
		slices.SortStableFunc(routes, func(a, b Route) int {
			return cmp.Or(cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.Method, b.Method), a.Since.Compare(b.Since))
		})
		for _, r := range routes {
			fmt.Fprintf(&text, "| %s | `%s` | %s | %s | %d |\n", r.Method, r.Pattern, r.span(), r.Policy, cmp.Or(r.Status, http.StatusOK))
		}
	}
	return text.String()
}
