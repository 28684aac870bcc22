package neutron

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/router"
)

func (a *api) portForwardingRoutes() []osapi.Route {
	const list, one = "/v2.0/floatingips/{id}/port_forwardings", "/v2.0/floatingips/{id}/port_forwardings/{forwarding}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listForwardings},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: a.createForwarding},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showForwarding},
		{Method: http.MethodPut, Pattern: one, Policy: osapi.Member, Handle: a.updateForwarding},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Member, Status: 204, Handle: a.deleteForwarding},
	}
}

// forwardingObject has a single port as a number, and any range as text.
func forwardingObject(f *router.Forwarding) object {
	o := object{
		"id": f.ID, "description": f.Description, "protocol": f.Protocol, "internal_port_id": f.Port, "internal_ip_address": f.Addr.String(),
		"external_port": nil, "internal_port": nil,
		"external_port_range": rangeText(f.Outside), "internal_port_range": rangeText(f.Inside),
	}
	if f.Outside.Len() == 1 {
		o["external_port"] = f.Outside.First
	}
	if f.Inside.Len() == 1 {
		o["internal_port"] = f.Inside.First
	}
	return o
}

func rangeText(r router.PortRange) string { return fmt.Sprintf("%d:%d", r.First, r.Last) }

func (a *api) listForwardings(r *osapi.Request) (any, error) {
	f, err := a.routers.FloatingIP(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	var all []object
	for _, one := range f.Forwardings {
		all = append(all, forwardingObject(one))
	}
	return list(r, "port_forwardings", all, forwardingObject(&router.Forwarding{}))
}

func (a *api) showForwarding(r *osapi.Request) (any, error) {
	f, err := a.routers.FloatingIP(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	one, err := f.Forwarding(r.Path("forwarding"))
	if err != nil {
		return nil, err
	}
	return show(r, "port_forwarding", forwardingObject(one))
}

// forwardingBody is a forwarding as clients write it.
type forwardingBody struct {
	Description  osapi.Optional[string]    `json:"description"`
	Protocol     osapi.Optional[string]    `json:"protocol"`
	Port         osapi.Optional[string]    `json:"internal_port_id"`
	Addr         osapi.Optional[string]    `json:"internal_ip_address"`
	Inside       osapi.Optional[osapi.Int] `json:"internal_port"`
	InsideRange  osapi.Optional[string]    `json:"internal_port_range"`
	Outside      osapi.Optional[osapi.Int] `json:"external_port"`
	OutsideRange osapi.Optional[string]    `json:"external_port_range"`
}

// edit writes what the body says into a forwarding.
func (b *forwardingBody) edit(f *router.Forwarding) error {
	var bad fields
	addr := address(&bad, "internal_ip_address", b.Addr.Value)
	if bad.err != nil {
		return bad.err
	}
	if err := ports("external_port", &f.Outside, b.Outside, b.OutsideRange); err != nil {
		return err
	}
	if err := ports("internal_port", &f.Inside, b.Inside, b.InsideRange); err != nil {
		return err
	}
	if b.Description.Set {
		f.Description = b.Description.Value
	}
	if b.Protocol.Set {
		f.Protocol = strings.ToLower(b.Protocol.Value)
	}
	if b.Port.Set {
		f.Port = b.Port.Value
	}
	if addr.IsValid() {
		f.Addr = addr
	}
	return nil
}

// ports reads a range that is given as one number or as text, 80:90.
func ports(field string, into *router.PortRange, one osapi.Optional[osapi.Int], several osapi.Optional[string]) error {
	switch {
	case one.Set && !one.Null && several.Value != "":
		return fault.New(fault.Invalid, "Invalid input for %s. Reason: it and %s_range cannot both be given.", field, field)
	case one.Set && !one.Null:
		*into = router.PortRange{First: int(one.Value), Last: int(one.Value)}
	case several.Value != "":
		first, last, ranged := strings.Cut(several.Value, ":")
		if !ranged {
			last = first
		}
		var errs [2]error
		into.First, errs[0] = strconv.Atoi(first)
		into.Last, errs[1] = strconv.Atoi(last)
		if errs[0] != nil || errs[1] != nil {
			return fault.New(fault.Invalid, "Invalid input for %s_range. Reason: '%s' is not a range of ports.", field, several.Value)
		}
	}
	return nil
}

func (a *api) createForwarding(r *osapi.Request) (any, error) {
	var body struct {
		Forwarding *forwardingBody `json:"port_forwarding"`
	}
	return a.changeForwarding(r, &body, func(tx *db.Tx) (*router.Forwarding, error) {
		b := body.Forwarding
		if b == nil {
			return nil, noBody("port_forwarding")
		}
		for name, given := range map[string]bool{
			"internal_port_id": b.Port.Value != "", "protocol": b.Protocol.Value != "",
			"internal_port": b.Inside.Set || b.InsideRange.Set, "external_port": b.Outside.Set || b.OutsideRange.Set,
		} {
			if !given {
				return nil, fault.New(fault.Invalid, "Failed to parse request. Required attribute '%s' not specified", name)
			}
		}
		var wish router.Forwarding
		if err := b.edit(&wish); err != nil {
			return nil, err
		}
		return a.routers.CreateForwarding(r.Context(), tx, viewer(r), r.Path("id"), wish)
	})
}

func (a *api) updateForwarding(r *osapi.Request) (any, error) {
	var body struct {
		Forwarding *forwardingBody `json:"port_forwarding"`
	}
	return a.changeForwarding(r, &body, func(tx *db.Tx) (*router.Forwarding, error) {
		if body.Forwarding == nil {
			return nil, noBody("port_forwarding")
		}
		return a.routers.ChangeForwarding(r.Context(), tx, viewer(r), r.Path("id"), r.Path("forwarding"), body.Forwarding.edit)
	})
}

func (a *api) changeForwarding(r *osapi.Request, body any, f func(*db.Tx) (*router.Forwarding, error)) (any, error) {
	var changed *router.Forwarding
	err := a.change(r, body, a.floatingIPOf, func(tx *db.Tx) (err error) {
		changed, err = f(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"port_forwarding": forwardingObject(changed)}, nil
}

func (a *api) deleteForwarding(r *osapi.Request) (any, error) {
	return nil, a.change(r, nil, a.floatingIPOf, func(tx *db.Tx) error {
		return a.routers.DeleteForwarding(r.Context(), tx, viewer(r), r.Path("id"), r.Path("forwarding"))
	})
}
