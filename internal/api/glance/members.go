package glance

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/image"
)

func viewMember(m image.Member) osapi.Object {
	return osapi.Object{
		"image_id": m.Image, "member_id": m.Project, "status": m.Status, "schema": "/v2/schemas/member",
		"created_at": osapi.Zulu(m.CreatedAt), "updated_at": osapi.Zulu(m.UpdatedAt),
	}
}

func (a *api) listMembers(r *osapi.Request) (any, error) {
	members, err := a.images.Members(r.Context(), reads(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	views := make([]osapi.Object, len(members))
	for n, m := range members {
		views[n] = viewMember(m)
	}
	return osapi.Object{"members": views, "schema": "/v2/schemas/members"}, nil
}

func (a *api) showMember(r *osapi.Request) (any, error) {
	m, err := a.images.Member(r.Context(), reads(r), r.Path("id"), r.Path("member"))
	if err != nil {
		return nil, err
	}
	return viewMember(m), nil
}

func (a *api) addMember(r *osapi.Request) (any, error) {
	var body struct {
		Member string `json:"member"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	m, err := a.images.AddMember(r.Context(), writes(r), r.Path("id"), body.Member)
	if err != nil {
		return nil, err
	}
	return viewMember(m), nil
}

func (a *api) updateMember(r *osapi.Request) (any, error) {
	var body struct {
		Status image.MemberStatus `json:"status"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	m, err := a.images.SetMember(r.Context(), writes(r), r.Path("id"), r.Path("member"), body.Status)
	if err != nil {
		return nil, err
	}
	return viewMember(m), nil
}

func (a *api) deleteMember(r *osapi.Request) (any, error) {
	return nil, a.images.RemoveMember(r.Context(), writes(r), r.Path("id"), r.Path("member"))
}
