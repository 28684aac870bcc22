package identity

import (
	"maps"

	"github.com/ingotcloud/ingot/internal/fault"
)

// The options of things: keystone/*/backends/resource_options.py.
var (
	anyOptions  = map[string]func(any) bool{"immutable": isBool}
	userOptions = map[string]func(any) bool{
		"ignore_change_password_upon_first_use": isBool,
		"ignore_password_expiry":                isBool,
		"ignore_lockout_failure_attempts":       isBool,
		"lock_password":                         isBool,
		"ignore_user_inactivity":                isBool,
		"multi_factor_auth_enabled":             isBool,
		"multi_factor_auth_rules":               isRules,
	}
)

func isBool(v any) bool { _, ok := v.(bool); return ok }

// isRules: a list of lists of methods.
func isRules(v any) bool {
	rules, ok := v.([]any)
	for _, rule := range rules {
		methods, isList := rule.([]any)
		ok = ok && isList
		for _, m := range methods {
			_, isText := m.(string)
			ok = ok && isText
		}
	}
	return ok
}

// SetOptions puts options that a client sent on the user's; null takes one away.
func (u *User) SetOptions(sent Extra) (err error) {
	u.Options, err = mergeOptions(u.Options, sent, userOptions)
	return err
}

// SetOptions puts options that a client sent on the domain's; null takes one away.
func (d *Domain) SetOptions(sent Extra) (err error) {
	d.Options, err = mergeOptions(d.Options, sent, anyOptions)
	return err
}

// SetOptions puts options that a client sent on the project's; null takes one away.
func (p *Project) SetOptions(sent Extra) (err error) {
	p.Options, err = mergeOptions(p.Options, sent, anyOptions)
	return err
}

// SetOptions puts options that a client sent on the role's; null takes one away.
func (r *Role) SetOptions(sent Extra) (err error) {
	r.Options, err = mergeOptions(r.Options, sent, anyOptions)
	return err
}

func mergeOptions(stored, sent Extra, known map[string]func(any) bool) (Extra, error) {
	merged := maps.Clone(stored)
	if merged == nil {
		merged = Extra{}
	}
	for name, value := range sent {
		fits, ok := known[name]
		switch {
		case !ok:
			return nil, fault.New(fault.Invalid, "Invalid input for field 'options': %q is not an option.", name)
		case value == nil:
			delete(merged, name)
		case !fits(value):
			return nil, fault.New(fault.Invalid, "Invalid input for field 'options': the value of %q does not fit.", name)
		default:
			merged[name] = value
		}
	}
	return merged, nil
}

func (u *User) option(name string) bool {
	on, _ := u.Options[name].(bool)
	return on
}

// immutable refuses to change or delete what carries the option "immutable".
func immutable(options Extra, noun, id string) error {
	if on, _ := options["immutable"].(bool); on {
		return fault.New(fault.Forbidden, "Cannot change or delete %s %s: it is immutable.", noun, id)
	}
	return nil
}

// mutable refuses to change what was and stays immutable; taking the option itself away is allowed.
func mutable(before, after Extra, noun, id string) error {
	if on, _ := after["immutable"].(bool); !on {
		return nil
	}
	return immutable(before, noun, id)
}
