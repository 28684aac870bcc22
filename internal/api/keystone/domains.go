package keystone

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

type domainBody struct {
	Domain struct {
		Name        osapi.Optional[string]         `json:"name"`
		Description osapi.Optional[string]         `json:"description"`
		Enabled     osapi.Optional[bool]           `json:"enabled"`
		Options     osapi.Optional[identity.Extra] `json:"options"`
		Tags        osapi.Optional[[]string]       `json:"tags"`
		Extra       attributes                     `json:",embed"`
	} `json:"domain"`
}

func (b *domainBody) onto(d *identity.Domain) (err error) {
	set(&d.Name, b.Domain.Name)
	set(&d.Description, b.Domain.Description)
	set(&d.Enabled, b.Domain.Enabled)
	set(&d.Tags, b.Domain.Tags)
	if err := d.SetOptions(b.Domain.Options.Value); err != nil {
		return err
	}
	d.Extra, err = b.Domain.Extra.onto(d.Extra, d.ID)
	return err
}

func showDomain(r *osapi.Request, d identity.Domain) object {
	return with(d.Extra, object{
		"id": d.ID, "name": d.Name, "description": d.Description, "enabled": d.Enabled,
		"tags": d.Tags, "options": d.Options, "links": self(r, "domains", d.ID),
	})
}

func (a *api) listDomains(r *osapi.Request) (any, error) {
	q := r.Query()
	filter := identity.DomainFilter{Name: q.String("name"), Enabled: enabledFilter(q)}
	if !r.Caller.ReadsAll() {
		filter.ID = r.Caller.DomainID
	}
	if err := q.Err(); err != nil {
		return nil, err
	}
	domains, err := a.identity.Domains(r.Context(), filter)
	return list(r, "domains", domains, showDomain), err
}

func (a *api) createDomain(r *osapi.Request) (any, error) {
	body, d := domainBody{}, identity.Domain{Enabled: true}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if err := body.onto(&d); err != nil {
		return nil, err
	}
	d, err := a.identity.CreateDomain(r.Context(), d)
	return object{"domain": showDomain(r, d)}, err
}

func (a *api) showDomain(r *osapi.Request) (any, error) {
	c, id := r.Caller, r.Path("id")
	if !c.ReadsAll() && id != c.DomainID && id != c.ProjectDomainID {
		return nil, forbidden("get_domain")
	}
	d, err := a.identity.Domain(r.Context(), id)
	return object{"domain": showDomain(r, d)}, err
}

func (a *api) updateDomain(r *osapi.Request) (any, error) {
	var body domainBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	d, err := a.identity.UpdateDomain(r.Context(), r.Path("id"), body.onto)
	return object{"domain": showDomain(r, d)}, err
}

func (a *api) deleteDomain(r *osapi.Request) (any, error) {
	return nil, a.identity.DeleteDomain(r.Context(), r.Path("id"))
}

// The configuration of a domain stands at /config, /config/{group} and /config/{group}/{option} below it; what holds
// without one at /v3/domains/config/…/default. The mux cannot tell these apart, so where they cross the middle segment
// is a variable.

// configPath is the group and the option that the path names, if any, and whether the defaults are asked for.
func configPath(r *osapi.Request) (group, option string, defaults bool, err error) {
	segments := []string{r.Path("id"), r.Path("word"), r.Path("group"), r.Path("option")}
	for segments[len(segments)-1] == "" {
		segments = segments[:len(segments)-1]
	}
	last := len(segments) - 1
	switch {
	case segments[0] == "config" && segments[last] == "default" && last > 1:
		defaults, segments = true, segments[1:last]
	case segments[1] == "config":
		segments = segments[2:]
	default:
		return "", "", false, fault.New(fault.NotFound, "The resource could not be found.")
	}
	if len(segments) > 0 {
		group = segments[0]
	}
	if len(segments) > 1 {
		option = segments[1]
	}
	return group, option, defaults, nil
}

// configPart is what is at the group and the option, in the form of the answer.
func configPart(config identity.DomainConfig, group, option string) (any, error) {
	if group == "" {
		return config, nil
	}
	options, ok := config[group]
	if !ok {
		return nil, fault.New(fault.NotFound, "Could not find group %s in domain configuration.", group)
	}
	if option == "" {
		return object{group: options}, nil
	}
	value, ok := options[option]
	if !ok {
		return nil, fault.New(fault.NotFound, "Could not find option %s in group %s in domain configuration.", option, group)
	}
	return object{option: value}, nil
}

func (a *api) showDefaultConfig(*osapi.Request) (any, error) {
	return object{"config": identity.DefaultDomainConfig()}, nil
}

func (a *api) showConfig(r *osapi.Request) (any, error) {
	group, option, defaults, err := configPath(r)
	if err != nil {
		return nil, err
	}
	config := identity.DefaultDomainConfig()
	if !defaults {
		if config, err = a.identity.DomainConfig(r.Context(), r.Path("id")); err != nil {
			return nil, err
		}
	}
	if ldap := config["ldap"]; ldap != nil && option != "password" {
		delete(ldap, "password") // write only, as in Keystone
	} else if ldap != nil {
		return nil, forbidden("get_domain_config")
	}
	part, err := configPart(config, group, option)
	return object{"config": part}, err
}

// createConfig replaces the whole; 200 instead of 201 tells that there was one.
func (a *api) createConfig(r *osapi.Request) (any, error) {
	var body struct {
		Config identity.DomainConfig `json:"config"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if _, _, _, err := configPath(r); err != nil {
		return nil, err
	}
	status := http.StatusCreated
	config, err := a.identity.UpdateDomainConfig(r.Context(), r.Path("id"), func(config identity.DomainConfig) error {
		status = http.StatusCreated
		if len(config) > 0 {
			status = http.StatusOK
		}
		if len(body.Config) == 0 {
			return fault.New(fault.Invalid, "Invalid domain configuration: no options are given.")
		}
		clear(config)
		for group, options := range body.Config {
			config[group] = options
		}
		return nil
	})
	return osapi.Response{Status: status, Body: object{"config": config}}, err
}

func (a *api) updateConfig(r *osapi.Request) (any, error) {
	group, option, defaults, err := configPath(r)
	if err != nil || defaults {
		return nil, configReadOnly(err)
	}
	sent := identity.DomainConfig{}
	if option == "" {
		var body struct {
			Config identity.DomainConfig `json:"config"`
		}
		err = r.Decode(&body)
		sent = body.Config
	} else {
		var body struct {
			Config map[string]any `json:"config"`
		}
		err = r.Decode(&body)
		sent[group] = body.Config
	}
	if err != nil {
		return nil, err
	}
	config, err := a.identity.UpdateDomainConfig(r.Context(), r.Path("id"), func(config identity.DomainConfig) error {
		if _, err := configPart(config, group, option); err != nil && option != "" {
			return err
		}
		for name, options := range sent {
			if group != "" && name != group {
				return fault.New(fault.Forbidden, "Group %s is not the one in the request.", name)
			}
			if config[name] == nil {
				config[name] = map[string]any{}
			}
			for key, value := range options {
				if option != "" && key != option {
					return fault.New(fault.Forbidden, "Option %s is not the one in the request.", key)
				}
				config[name][key] = value
			}
		}
		return nil
	})
	return object{"config": config}, err
}

func configReadOnly(err error) error {
	if err == nil {
		err = fault.New(fault.NotFound, "The resource could not be found.")
	}
	return err
}

func (a *api) deleteConfig(r *osapi.Request) (any, error) {
	group, option, defaults, err := configPath(r)
	if err != nil || defaults {
		return nil, configReadOnly(err)
	}
	_, err = a.identity.UpdateDomainConfig(r.Context(), r.Path("id"), func(config identity.DomainConfig) error {
		if len(config) == 0 {
			return fault.New(fault.NotFound, "Could not find domain configuration for domain %s.", r.Path("id"))
		}
		if _, err := configPart(config, group, option); err != nil {
			return err
		}
		switch {
		case group == "":
			clear(config)
		case option == "":
			delete(config, group)
		default:
			delete(config[group], option)
		}
		return nil
	})
	return nil, err
}
