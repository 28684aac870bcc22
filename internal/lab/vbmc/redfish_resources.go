package vbmc

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// The one system, chassis and manager have OpenBMC's names.
const (
	systemPath  = "Systems/system"
	chassisPath = "Chassis/chassis"
	managerPath = "Managers/bmc"
	mediaPath   = managerPath + "/VirtualMedia/Cd"
	logPath     = systemPath + "/LogServices/SEL"
)

// resources is everything the service has, a row for each. The schema versions are of DMTF's bundle DSP8010; the
// newest is ComputerSystem 1.26 (2025), which names the console's websocket.
func resources() []resource {
	return []resource{
		{path: "/redfish", public: true, get: getVersions},
		{path: "", schema: "ServiceRoot.v1_16_0.ServiceRoot", name: "Virtual BMC", public: true, get: getRoot},
		{path: "odata", public: true, get: getOData},
		{path: "$metadata", public: true, raw: serveMetadata},

		{path: "SessionService", schema: "SessionService.v1_1_0.SessionService", name: "Session Service", get: getSessionService, patch: patchSessionService},
		{path: "SessionService/Sessions", schema: "SessionCollection.SessionCollection", name: "Sessions", get: members(sessionIDs), post: login},
		{path: "SessionService/Sessions/Members", schema: "SessionCollection.SessionCollection", post: login}, // DSP0266: POST to Members is POST to the collection
		{path: "SessionService/Sessions/{id}", schema: "Session.v1_7_0.Session", name: "Session", get: getSession, delete: logout},

		{path: "Systems", schema: "ComputerSystemCollection.ComputerSystemCollection", name: "Computer Systems", get: oneMember("system")},
		{path: systemPath, schema: "ComputerSystem.v1_26_0.ComputerSystem", get: getSystem, patch: patchSystem},
		{path: systemPath + "/Actions/ComputerSystem.Reset", post: resetSystem},
		{path: systemPath + "/EthernetInterfaces", schema: "EthernetInterfaceCollection.EthernetInterfaceCollection", name: "NICs", get: members(nicIDs)},
		{path: systemPath + "/EthernetInterfaces/{id}", schema: "EthernetInterface.v1_11_0.EthernetInterface", name: "NIC", get: getNIC},
		{path: systemPath + "/SecureBoot", schema: "SecureBoot.v1_1_0.SecureBoot", name: "UEFI Secure Boot", exists: canSecureBoot, get: getSecureBoot, patch: patchSecureBoot},
		{path: systemPath + "/Storage", schema: "StorageCollection.StorageCollection", name: "Storage", get: oneMember("disks")},
		{path: systemPath + "/Storage/disks", schema: "Storage.v1_15_0.Storage", name: "Disks", get: getStorage},
		{path: systemPath + "/Storage/disks/Drives/{id}", schema: "Drive.v1_17_0.Drive", get: getDrive},
		{path: systemPath + "/LogServices", schema: "LogServiceCollection.LogServiceCollection", name: "Logs", get: oneMember("SEL")},
		{path: logPath, schema: "LogService.v1_5_0.LogService", name: "System Event Log", get: getLogService},
		{path: logPath + "/Entries", schema: "LogEntryCollection.LogEntryCollection", name: "Log Entries", get: getLogEntries},
		{path: logPath + "/Entries/{id}", schema: "LogEntry.v1_15_0.LogEntry", get: getLogEntry},
		{path: logPath + "/Actions/LogService.ClearLog", post: clearLog},

		{path: "Chassis", schema: "ChassisCollection.ChassisCollection", name: "Chassis", get: oneMember("chassis")},
		{path: chassisPath, schema: "Chassis.v1_25_0.Chassis", get: getChassis, patch: patchChassis},
		{path: chassisPath + "/Sensors", schema: "SensorCollection.SensorCollection", name: "Sensors", get: members(sensorIDs)},
		{path: chassisPath + "/Sensors/{id}", schema: "Sensor.v1_7_0.Sensor", get: getSensor},
		{path: chassisPath + "/Thermal", schema: "Thermal.v1_7_0.Thermal", name: "Thermal", get: getThermal},
		{path: chassisPath + "/Power", schema: "Power.v1_7_0.Power", name: "Power", get: getPower},

		{path: "Managers", schema: "ManagerCollection.ManagerCollection", name: "Managers", get: oneMember("bmc")},
		{path: managerPath, schema: "Manager.v1_19_0.Manager", name: "Virtual BMC", get: getManager},
		{path: managerPath + "/VirtualMedia", schema: "VirtualMediaCollection.VirtualMediaCollection", name: "Virtual Media", get: oneMember("Cd")},
		{path: mediaPath, schema: "VirtualMedia.v1_6_0.VirtualMedia", name: "Virtual CD", get: getMedia},
		{path: mediaPath + "/Actions/VirtualMedia.InsertMedia", post: insertMedia},
		{path: mediaPath + "/Actions/VirtualMedia.EjectMedia", post: ejectMedia},

		{path: "UpdateService", schema: "UpdateService.v1_14_0.UpdateService", name: "Update Service", get: getUpdateService},
		{path: "UpdateService/FirmwareInventory", schema: "SoftwareInventoryCollection.SoftwareInventoryCollection", name: "Firmware", get: members(firmwareIDs)},
		{path: "UpdateService/FirmwareInventory/{id}", schema: "SoftwareInventory.v1_10_0.SoftwareInventory", get: getFirmware},

		{path: "TaskService", schema: "TaskService.v1_2_0.TaskService", name: "Task Service", get: getTaskService},
		{path: "TaskService/Tasks", schema: "TaskCollection.TaskCollection", name: "Tasks", get: members(taskIDs)},
		{path: "TaskService/Tasks/{id}", schema: "Task.v1_7_0.Task", get: getTask},
		{path: "TaskService/TaskMonitors/{id}", raw: serveTaskMonitor},

		{path: "EventService", schema: "EventService.v1_10_0.EventService", name: "Event Service", get: getEventService},
		{path: "EventService/Subscriptions", schema: "EventDestinationCollection.EventDestinationCollection", name: "Subscriptions", get: noMembers},
		{path: "EventService/SSE", raw: serveEvents},

		{path: "/console0", raw: serveConsole},
		{path: "/kvm/0", raw: serveKVM},
	}
}

// collection is the body of a collection with these members.
func collection(path string, ids []string) object {
	all := make([]object, 0, len(ids)) // never null
	for _, id := range ids {
		all = append(all, object{"@odata.id": path + "/" + id})
	}
	return object{"Members": all, "Members@odata.count": len(all)}
}

func members(ids func(s *Redfish) []string) func(*Redfish, *call) (object, error) {
	return func(s *Redfish, c *call) (object, error) { return collection(c.r.URL.Path, ids(s)), nil }
}

func oneMember(id string) func(*Redfish, *call) (object, error) {
	return members(func(*Redfish) []string { return []string{id} })
}

func noMembers(_ *Redfish, c *call) (object, error) { return collection(c.r.URL.Path, nil), nil }

func getVersions(*Redfish, *call) (object, error) {
	return object{"v1": root + "/"}, nil
}

func getRoot(s *Redfish, _ *call) (object, error) {
	return object{
		"@odata.id":      root,
		"Id":             "RootService",
		"RedfishVersion": "1.20.1",
		"UUID":           s.machine.Info().UUID,
		"Vendor":         "Ingot",
		"Product":        "Ingot virtual BMC",
		"ProtocolFeaturesSupported": object{
			"ExpandQuery":     object{"ExpandAll": false, "Levels": false, "Links": false, "NoLinks": false},
			"FilterQuery":     false,
			"OnlyMemberQuery": false,
			"SelectQuery":     false,
			"ExcerptQuery":    false,
		},
		"Systems":        link("Systems"),
		"Chassis":        link("Chassis"),
		"Managers":       link("Managers"),
		"SessionService": link("SessionService"),
		"UpdateService":  link("UpdateService"),
		"EventService":   link("EventService"),
		"Tasks":          link("TaskService"),
		"Links": object{
			"Sessions":                link("SessionService/Sessions"),
			"ManagerProvidingService": link(managerPath),
		},
	}, nil
}

// getOData is the OData service document (DSP0266, "OData service document").
func getOData(*Redfish, *call) (object, error) {
	value := []object{{"name": "Service", "kind": "Singleton", "url": root + "/"}}
	for _, name := range []string{"Systems", "Chassis", "Managers", "SessionService", "UpdateService", "EventService", "TaskService"} {
		value = append(value, object{"name": name, "kind": "Singleton", "url": root + "/" + name})
	}
	return object{"@odata.context": root + "/$metadata", "value": value}, nil
}

// serveMetadata is the OData metadata document: it refers to DMTF's schema of each type in the table.
func serveMetadata(_ *Redfish, w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">
`)
	var seen []string
	for _, res := range resources() {
		kind, _, _ := strings.Cut(res.schema, ".")
		if kind == "" || slices.Contains(seen, kind) {
			continue
		}
		seen = append(seen, kind)
		namespace := res.schema[:strings.LastIndex(res.schema, ".")]
		fmt.Fprintf(&b, "  <edmx:Reference Uri=\"http://redfish.dmtf.org/schemas/v1/%s_v1.xml\">\n    <edmx:Include Namespace=%q/>\n  </edmx:Reference>\n", kind, namespace)
	}
	b.WriteString(`  <edmx:DataServices>
    <Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Service">
      <EntityContainer Name="Service" Extends="ServiceRoot.v1_16_0.ServiceContainer"/>
    </Schema>
  </edmx:DataServices>
</edmx:Edmx>
`)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("OData-Version", "4.0")
	w.Write([]byte(b.String())) // the client may have left
}
