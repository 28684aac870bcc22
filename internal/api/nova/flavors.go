package nova

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/flavor"
)

func flavorViewer(r *osapi.Request) flavor.Viewer {
	return flavor.Viewer{ProjectID: r.Caller.ProjectID, Admin: r.Caller.ReadsAll()}
}

var flavorFields = osapi.Fields{"description": osapi.Since(2, 55), "extra_specs": osapi.Since(2, 61)}

func flavorView(r *osapi.Request, f flavor.Flavor) object {
	var swap any = f.Swap
	if f.Swap == 0 && !r.Version.AtLeast(2, 75) {
		swap = ""
	}
	return flavorFields.Trim(object{
		"id": f.ID, "name": f.Name, "ram": f.RAM, "disk": f.Disk, "swap": swap, "OS-FLV-EXT-DATA:ephemeral": f.Ephemeral,
		"OS-FLV-DISABLED:disabled": f.Disabled, "vcpus": f.VCPUs, "os-flavor-access:is_public": f.Public, "rxtx_factor": f.RxTxFactor,
		"links": links(r, "flavors", f.ID), "description": f.Description, "extra_specs": f.ExtraSpecs,
	}, r.Version)
}

var flavorPaging = osapi.Paging{
	Keys: []string{"created_at", "description", "disabled", "ephemeral_gb", "flavorid", "id", "is_public", "memory_mb", "name", "root_gb",
		"rxtx_factor", "swap", "updated_at", "vcpus"},
	Default: []osapi.Sort{{Key: "flavorid"}},
}

var compareFlavors = map[string]func(a, b flavor.Flavor) int{
	"flavorid":     func(a, b flavor.Flavor) int { return strings.Compare(a.ID, b.ID) },
	"id":           func(a, b flavor.Flavor) int { return a.CreatedAt.Compare(b.CreatedAt) },
	"created_at":   func(a, b flavor.Flavor) int { return a.CreatedAt.Compare(b.CreatedAt) },
	"name":         func(a, b flavor.Flavor) int { return strings.Compare(a.Name, b.Name) },
	"memory_mb":    func(a, b flavor.Flavor) int { return a.RAM - b.RAM },
	"root_gb":      func(a, b flavor.Flavor) int { return a.Disk - b.Disk },
	"vcpus":        func(a, b flavor.Flavor) int { return a.VCPUs - b.VCPUs },
	"ephemeral_gb": func(a, b flavor.Flavor) int { return a.Ephemeral - b.Ephemeral },
	"swap":         func(a, b flavor.Flavor) int { return a.Swap - b.Swap },
}

func (a *api) findFlavors(r *osapi.Request) ([]flavor.Flavor, string, error) {
	q := r.Query()
	page := q.Page(flavorPaging)
	f := flavor.Filter{MinRAM: q.Int("minRam", 0), MinDisk: q.Int("minDisk", 0)}
	switch public := q.String("is_public"); {
	case strings.EqualFold(public, "none"):
	case r.Caller.ReadsAll():
		wanted := q.Bool("is_public", true)
		f.Public = &wanted
	}
	if err := q.Err(); err != nil {
		return nil, "", err
	}
	all, err := a.Flavors.List(r.Context(), flavorViewer(r), f)
	if err != nil {
		return nil, "", err
	}
	all = slices.DeleteFunc(all, func(f flavor.Flavor) bool { return f.Disabled && !r.Caller.ReadsAll() })
	osapi.Order(page, all, compareFlavors)
	return osapi.Cut(page, all, func(f flavor.Flavor) string { return f.ID })
}

func (a *api) listFlavors(r *osapi.Request) (any, error) {
	found, next, err := a.findFlavors(r)
	if err != nil {
		return nil, err
	}
	shown := make([]object, len(found))
	for n, f := range found {
		shown[n] = object{"id": f.ID, "name": f.Name, "links": links(r, "flavors", f.ID)}
		if r.Version.AtLeast(2, 55) {
			shown[n]["description"] = f.Description
		}
	}
	return page(r, "flavors", shown, next), nil
}

func (a *api) listFlavorsDetail(r *osapi.Request) (any, error) {
	found, next, err := a.findFlavors(r)
	if err != nil {
		return nil, err
	}
	shown := make([]object, len(found))
	for n, f := range found {
		shown[n] = flavorView(r, f)
	}
	return page(r, "flavors", shown, next), nil
}

func (a *api) flavor(r *osapi.Request) (flavor.Flavor, error) {
	return a.Flavors.Get(r.Context(), flavorViewer(r), r.Path("id"))
}

func (a *api) showFlavor(r *osapi.Request) (any, error) {
	f, err := a.flavor(r)
	if err != nil {
		return nil, err
	}
	return object{"flavor": flavorView(r, f)}, nil
}

type flavorBody struct {
	Flavor struct {
		ID          *ref            `json:"id"`
		Name        string          `json:"name"`
		RAM         *osapi.Int      `json:"ram"`
		VCPUs       *osapi.Int      `json:"vcpus"`
		Disk        *osapi.Int      `json:"disk"`
		Swap        osapi.Int       `json:"swap"`
		Ephemeral   osapi.Int       `json:"OS-FLV-EXT-DATA:ephemeral"`
		RxTxFactor  json.RawMessage `json:"rxtx_factor"`
		Public      *osapi.Bool     `json:"os-flavor-access:is_public"`
		Description *string         `json:"description"`
	} `json:"flavor"`
}

func (a *api) createFlavor(r *osapi.Request) (any, error) {
	var body flavorBody
	if err := decode(r, &body, "flavor", osapi.Fields{"description": osapi.Since(2, 55)}); err != nil {
		return nil, err
	}
	b := body.Flavor
	switch {
	case b.Name == "":
		return nil, missing("name")
	case b.RAM == nil:
		return nil, missing("ram")
	case b.VCPUs == nil:
		return nil, missing("vcpus")
	case b.Disk == nil:
		return nil, missing("disk")
	}
	f := flavor.Flavor{
		Name: b.Name, RAM: int(*b.RAM), VCPUs: int(*b.VCPUs), Disk: int(*b.Disk), Swap: int(b.Swap), Ephemeral: int(b.Ephemeral), RxTxFactor: 1,
		Public: b.Public == nil || bool(*b.Public), Description: b.Description,
	}
	if b.ID != nil && *b.ID != "auto" {
		f.ID = string(*b.ID)
	}
	if len(b.RxTxFactor) > 0 {
		factor, err := strconv.ParseFloat(strings.Trim(string(b.RxTxFactor), `"`), 64) // a number, or text of one
		if err != nil || factor <= 0 {
			return nil, invalid("rxtx_factor", clip(string(b.RxTxFactor)), "It is a number above 0.")
		}
		f.RxTxFactor = factor
	}
	f, err := a.Flavors.Create(r.Context(), f)
	if err != nil {
		return nil, err
	}
	return object{"flavor": flavorView(r, f)}, nil
}

func (a *api) updateFlavor(r *osapi.Request) (any, error) {
	var body struct {
		Flavor struct {
			Description osapi.Optional[string] `json:"description"`
		} `json:"flavor"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if !body.Flavor.Description.Set {
		return nil, missing("description")
	}
	var description *string
	if !body.Flavor.Description.Null {
		description = &body.Flavor.Description.Value
	}
	f, err := a.Flavors.Describe(r.Context(), r.Path("id"), description)
	if err != nil {
		return nil, err
	}
	return object{"flavor": flavorView(r, f)}, nil
}

func (a *api) deleteFlavor(r *osapi.Request) (any, error) {
	return nil, a.Flavors.Delete(r.Context(), r.Path("id"))
}

type accessBody struct {
	Add *struct {
		Tenant string `json:"tenant"`
	} `json:"addTenantAccess"`
	Remove *struct {
		Tenant string `json:"tenant"`
	} `json:"removeTenantAccess"`
}

func (a *api) actOnFlavor(r *osapi.Request) (any, error) {
	var body accessBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	var (
		projects []string
		err      error
	)
	switch {
	case (body.Add == nil) == (body.Remove == nil):
		return nil, fault.New(fault.Invalid, "Malformed request body: one of addTenantAccess and removeTenantAccess is expected.")
	case body.Add != nil && body.Add.Tenant != "":
		projects, err = a.Flavors.Allow(r.Context(), r.Path("id"), body.Add.Tenant)
	case body.Remove != nil && body.Remove.Tenant != "":
		projects, err = a.Flavors.Deny(r.Context(), r.Path("id"), body.Remove.Tenant)
	default:
		return nil, missing("tenant")
	}
	return accessView(r.Path("id"), projects), err
}

func (a *api) listFlavorAccess(r *osapi.Request) (any, error) {
	projects, err := a.Flavors.Access(r.Context(), r.Path("id"))
	return accessView(r.Path("id"), projects), err
}

func accessView(id string, projects []string) object {
	shown := make([]object, len(projects))
	for n, project := range projects {
		shown[n] = object{"flavor_id": id, "tenant_id": project}
	}
	return object{"flavor_access": shown}
}

func (a *api) listSpecs(r *osapi.Request) (any, error) {
	f, err := a.flavor(r)
	return object{"extra_specs": f.ExtraSpecs}, err
}

func (a *api) addSpecs(r *osapi.Request) (any, error) {
	var body struct {
		Specs map[string]string `json:"extra_specs"`
	}
	if err := decode(r, &body, "extra_specs", nil); err != nil {
		return nil, err
	}
	_, err := a.Flavors.SetExtraSpecs(r.Context(), r.Path("id"), body.Specs)
	return object{"extra_specs": body.Specs}, err
}

func (a *api) showSpec(r *osapi.Request) (any, error) {
	f, err := a.flavor(r)
	if err != nil {
		return nil, err
	}
	value, ok := f.ExtraSpecs[r.Path("key")]
	if !ok {
		return nil, fault.New(fault.NotFound, "Flavor %s has no extra specs with key %s.", f.ID, clip(r.Path("key")))
	}
	return object{r.Path("key"): value}, nil
}

func (a *api) setSpec(r *osapi.Request) (any, error) {
	var body map[string]string
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if _, ok := body[r.Path("key")]; !ok || len(body) != 1 {
		return nil, fault.New(fault.Invalid, "Request body and URI mismatch")
	}
	_, err := a.Flavors.SetExtraSpecs(r.Context(), r.Path("id"), body)
	return body, err
}

func (a *api) deleteSpec(r *osapi.Request) (any, error) {
	return nil, a.Flavors.UnsetExtraSpec(r.Context(), r.Path("id"), r.Path("key"))
}
