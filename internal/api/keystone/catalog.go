package keystone

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

type regionBody struct {
	Region struct {
		ID          string                 `json:"id"`
		Description osapi.Optional[string] `json:"description"`
		ParentID    osapi.Optional[string] `json:"parent_region_id"`
		Extra       attributes             `json:",embed"`
	} `json:"region"`
}

func (b *regionBody) onto(region *identity.Region) (err error) {
	set(&region.Description, b.Region.Description)
	setPointer(&region.ParentID, b.Region.ParentID)
	region.Extra, err = b.Region.Extra.onto(region.Extra, region.ID)
	return err
}

func showRegion(r *osapi.Request, region identity.Region) object {
	return with(region.Extra, object{
		"id": region.ID, "description": region.Description, "parent_region_id": region.ParentID, "links": self(r, "regions", region.ID),
	})
}

func (a *api) listRegions(r *osapi.Request) (any, error) {
	regions, err := a.identity.Regions(r.Context(), r.Query().String("parent_region_id"))
	return list(r, "regions", regions, showRegion), err
}

func (a *api) showRegion(r *osapi.Request) (any, error) {
	region, err := a.identity.Region(r.Context(), r.Path("id"))
	return object{"region": showRegion(r, region)}, err
}

func (a *api) createRegion(r *osapi.Request) (any, error) {
	var body regionBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	region := identity.Region{ID: body.Region.ID}
	if id := r.Path("id"); id != "" {
		region.ID = id
	}
	_, err := a.identity.Region(r.Context(), region.ID)
	if err == nil {
		return nil, fault.New(fault.Conflict, "Conflict occurred attempting to store region - Duplicate ID, %s.", region.ID)
	}
	if !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	return a.putRegion(r, region, &body)
}

func (a *api) updateRegion(r *osapi.Request) (any, error) {
	var body regionBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	region, err := a.identity.Region(r.Context(), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return a.putRegion(r, region, &body)
}

func (a *api) putRegion(r *osapi.Request, region identity.Region, body *regionBody) (any, error) {
	if err := body.onto(&region); err != nil {
		return nil, err
	}
	region, err := a.identity.PutRegion(r.Context(), region)
	return object{"region": showRegion(r, region)}, err
}

func (a *api) deleteRegion(r *osapi.Request) (any, error) {
	return nil, a.identity.DeleteRegion(r.Context(), r.Path("id"))
}

type serviceBody struct {
	Service struct {
		Type        osapi.Optional[string] `json:"type"`
		Name        osapi.Optional[string] `json:"name"`
		Description osapi.Optional[string] `json:"description"`
		Enabled     osapi.Optional[bool]   `json:"enabled"`
		Extra       attributes             `json:",embed"`
	} `json:"service"`
}

func (b *serviceBody) onto(s *identity.CatalogService) (err error) {
	set(&s.Type, b.Service.Type)
	set(&s.Name, b.Service.Name)
	setPointer(&s.Description, b.Service.Description)
	set(&s.Enabled, b.Service.Enabled)
	s.Extra, err = b.Service.Extra.onto(s.Extra, s.ID)
	return err
}

func showService(r *osapi.Request, s identity.CatalogService) object {
	shown := with(s.Extra, object{"id": s.ID, "type": s.Type, "name": s.Name, "enabled": s.Enabled, "links": self(r, "services", s.ID)})
	if s.Description != nil {
		shown["description"] = *s.Description
	}
	return shown
}

func (a *api) listServices(r *osapi.Request) (any, error) {
	q := r.Query()
	services, err := a.identity.CatalogServices(r.Context(), q.String("type"), q.String("name"))
	return list(r, "services", services, showService), err
}

func (a *api) showService(r *osapi.Request) (any, error) {
	s, err := a.identity.CatalogService(r.Context(), r.Path("id"))
	return object{"service": showService(r, s)}, err
}

func (a *api) createService(r *osapi.Request) (any, error) {
	return a.putService(r, identity.CatalogService{Enabled: true})
}

func (a *api) updateService(r *osapi.Request) (any, error) {
	s, err := a.identity.CatalogService(r.Context(), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return a.putService(r, s)
}

func (a *api) putService(r *osapi.Request, s identity.CatalogService) (any, error) {
	var body serviceBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if err := body.onto(&s); err != nil {
		return nil, err
	}
	s, err := a.identity.PutService(r.Context(), s)
	return object{"service": showService(r, s)}, err
}

func (a *api) deleteService(r *osapi.Request) (any, error) {
	return nil, a.identity.DeleteService(r.Context(), r.Path("id"))
}

type endpointBody struct {
	Endpoint struct {
		ServiceID osapi.Optional[string] `json:"service_id"`
		Interface osapi.Optional[string] `json:"interface"`
		RegionID  osapi.Optional[string] `json:"region_id"`
		Region    osapi.Optional[string] `json:"region"` // the older name
		URL       osapi.Optional[string] `json:"url"`
		Enabled   osapi.Optional[bool]   `json:"enabled"`
		Extra     attributes             `json:",embed"`
	} `json:"endpoint"`
}

func (b *endpointBody) onto(e *identity.Endpoint) (err error) {
	set(&e.ServiceID, b.Endpoint.ServiceID)
	set(&e.Interface, b.Endpoint.Interface)
	setPointer(&e.RegionID, b.Endpoint.Region) // made where it is missing
	setPointer(&e.RegionID, b.Endpoint.RegionID)
	set(&e.URL, b.Endpoint.URL)
	set(&e.Enabled, b.Endpoint.Enabled)
	e.Extra, err = b.Endpoint.Extra.onto(e.Extra, e.ID)
	return err
}

func showEndpoint(r *osapi.Request, e identity.Endpoint) object {
	return with(e.Extra, object{
		"id": e.ID, "interface": e.Interface, "region_id": e.RegionID, "region": e.RegionID, "service_id": e.ServiceID,
		"url": e.URL, "enabled": e.Enabled, "links": self(r, "endpoints", e.ID),
	})
}

func (a *api) listEndpoints(r *osapi.Request) (any, error) {
	q := r.Query()
	endpoints, err := a.identity.Endpoints(r.Context(), identity.EndpointFilter{
		ServiceID: q.String("service_id"), Interface: q.String("interface"), RegionID: q.String("region_id"),
	})
	return list(r, "endpoints", endpoints, showEndpoint), err
}

func (a *api) showEndpoint(r *osapi.Request) (any, error) {
	e, err := a.identity.Endpoint(r.Context(), r.Path("id"))
	return object{"endpoint": showEndpoint(r, e)}, err
}

func (a *api) createEndpoint(r *osapi.Request) (any, error) {
	return a.putEndpoint(r, identity.Endpoint{Enabled: true})
}

func (a *api) updateEndpoint(r *osapi.Request) (any, error) {
	e, err := a.identity.Endpoint(r.Context(), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return a.putEndpoint(r, e)
}

func (a *api) putEndpoint(r *osapi.Request, e identity.Endpoint) (any, error) {
	var body endpointBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if err := body.onto(&e); err != nil {
		return nil, err
	}
	e, err := a.identity.PutEndpoint(r.Context(), e, body.Endpoint.Region.Value)
	return object{"endpoint": showEndpoint(r, e)}, err
}

func (a *api) deleteEndpoint(r *osapi.Request) (any, error) {
	return nil, a.identity.DeleteEndpoint(r.Context(), r.Path("id"))
}
