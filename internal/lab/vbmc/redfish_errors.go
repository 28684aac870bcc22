package vbmc

import (
	"fmt"
	"net/http"
	"strings"
)

// baseRegistry is the DMTF message registry whose ids the errors carry (DSP8011).
const baseRegistry = "Base.1.16"

// failure is an answer that says no: Redfish's error envelope (DSP0266, "Error responses").
type failure struct {
	status     int
	id         string // in the Base registry
	message    string
	args       []string
	severity   string
	resolution string
	properties []string // RelatedProperties, as JSON pointers
	allow      string   // for 405
}

func (f *failure) Error() string { return fmt.Sprintf("%d %s: %s", f.status, f.id, f.message) }

// info is one message, as it stands in @Message.ExtendedInfo and in a Task's Messages.
func (f *failure) info() object {
	o := object{
		"@odata.type":     "#Message.v1_1_0.Message",
		"MessageId":       baseRegistry + "." + f.id,
		"Message":         f.message,
		"MessageArgs":     append([]string{}, f.args...),
		"MessageSeverity": f.severity,
		"Severity":        f.severity,
		"Resolution":      f.resolution,
	}
	if len(f.properties) > 0 {
		o["RelatedProperties"] = f.properties
	}
	return o
}

func (f *failure) envelope() object {
	return object{"error": object{
		"code":                  baseRegistry + "." + f.id,
		"message":               f.message,
		"@Message.ExtendedInfo": []object{f.info()},
	}}
}

// message is a row of the Base registry: its text has %1, %2 for the arguments.
type message struct {
	status                     int
	text, severity, resolution string
}

// The messages of the Base registry that this service sends.
var messages = map[string]message{
	"AccessDenied": {http.StatusForbidden, "While attempting to establish a connection to '%1', the service denied access.", "Critical",
		"Attempt to ensure that the URI is correct and that the service has the appropriate credentials."},
	"ActionNotSupported":     {http.StatusBadRequest, "The action %1 is not supported by the resource.", "Critical", "The action supplied cannot be resubmitted to the implementation.  Perhaps the action was invalid, the wrong resource was the target or the implementation documentation may be of assistance."},
	"ActionParameterMissing": {http.StatusBadRequest, "The action %1 requires the parameter %2 to be present in the request body.", "Critical", "Supply the action with the required parameter in the request body when the request is resubmitted."},
	"ActionParameterNotSupported": {http.StatusBadRequest, "The parameter %1 for the action %2 is not supported on the target resource.", "Warning",
		"Remove the parameter supplied and resubmit the request if the operation failed."},
	"ActionParameterUnknown":          {http.StatusBadRequest, "The action %1 was submitted with the invalid parameter %2.", "Warning", "Correct the invalid parameter and resubmit the request if the operation failed."},
	"ActionParameterValueFormatError": {http.StatusBadRequest, "The value '%1' for the parameter %2 in the action %3 is of a different format than the parameter can accept.", "Warning", "Correct the value for the parameter in the request body and resubmit the request if the operation failed."},
	"ActionParameterValueNotInList":   {http.StatusBadRequest, "The value '%1' for the parameter %2 in the action %3 is not in the list of acceptable values.", "Warning", "Choose a value from the enumeration list that the implementation can support and resubmit the request if the operation failed."},
	"ActionParameterValueTypeError":   {http.StatusBadRequest, "The value '%1' for the parameter %2 in the action %3 is of a different type than the parameter can accept.", "Warning", "Correct the value for the parameter in the request body and resubmit the request if the operation failed."},
	"CouldNotEstablishConnection":     {http.StatusBadRequest, "The service failed to establish a connection with the URI '%1'.", "Critical", "Ensure that the URI contains a valid and reachable node name, protocol information and other URI components."},
	"GeneralError":                    {http.StatusBadRequest, "A general error has occurred.  See Resolution for information on how to resolve the error.", "Critical", "None."},
	"InternalError":                   {http.StatusInternalServerError, "The request failed due to an internal service error.  The service is still operational.", "Critical", "Resubmit the request.  If the problem persists, consider resetting the service."},
	"MalformedJSON":                   {http.StatusBadRequest, "The request body submitted was malformed JSON and could not be parsed by the receiving service.", "Critical", "Ensure that the request body is valid JSON and resubmit the request."},
	"NoValidSession":                  {http.StatusUnauthorized, "There is no valid session established with the implementation.", "Critical", "Establish a session before attempting any operations."},
	"OperationNotAllowed":             {http.StatusMethodNotAllowed, "The HTTP method is not allowed on this resource.", "Critical", "None."},
	"OperationFailed":                 {http.StatusInternalServerError, "An error occurred internal to the service as part of the overall request.  Partial results may have been returned.", "Warning", "Resubmit the request.  If the problem persists, consider resetting the service or provider."},
	"PreconditionFailed":              {http.StatusPreconditionFailed, "The ETag supplied did not match the ETag required to change this resource.", "Critical", "Try the operation again using the appropriate ETag."},
	"PropertyNotWritable":             {http.StatusBadRequest, "The property %1 is a read-only property and cannot be assigned a value.", "Warning", "Remove the property from the request body and resubmit the request if the operation failed."},
	"PropertyUnknown":                 {http.StatusBadRequest, "The property %1 is not in the list of valid properties for the resource.", "Warning", "Remove the unknown property from the request body and resubmit the request if the operation failed."},
	"PropertyValueConflict":           {http.StatusBadRequest, "The property '%1' could not be written because its value would conflict with the value of the '%2' property.", "Warning", "No resolution is required."},
	"PropertyValueNotInList":          {http.StatusBadRequest, "The value '%1' for the property %2 is not in the list of acceptable values.", "Warning", "Choose a value from the enumeration list that the implementation can support and resubmit the request if the operation failed."},
	"PropertyValueTypeError":          {http.StatusBadRequest, "The value '%1' for the property %2 is of a different type than the property can accept.", "Warning", "Correct the value for the property in the request body and resubmit the request if the operation failed."},
	"PropertyMissing":                 {http.StatusBadRequest, "The property %1 is a required property and must be included in the request.", "Warning", "Ensure that the property is in the request body and has a valid value and resubmit the request if the operation failed."},
	"QueryNotSupported":               {http.StatusNotImplemented, "Querying is not supported by the implementation.", "Warning", "Remove the query parameters and resubmit the request if the operation failed."},
	"ResourceInStandby":               {http.StatusConflict, "The request could not be performed because the resource is in standby.", "Critical", "Ensure that the resource is in the correct power state and resubmit the request."},
	"ResourceInUse":                   {http.StatusConflict, "The change to the requested resource failed because the resource is in use or in transition.", "Warning", "Remove the condition and resubmit the request if the operation failed."},
	"ResourceMissingAtURI":            {http.StatusNotFound, "The resource at the URI '%1' was not found.", "Critical", "Place a valid resource at the URI or correct the URI and resubmit the request."},
	"ServiceTemporarilyUnavailable":   {http.StatusServiceUnavailable, "The service is temporarily unavailable.  Retry in %1 seconds.", "Critical", "Wait for the indicated retry duration and retry the operation."},
	"SessionLimitExceeded":            {http.StatusServiceUnavailable, "The session establishment failed due to the number of simultaneous sessions exceeding the limit of the implementation.", "Critical", "Reduce the number of other sessions before trying to establish the session or increase the limit of simultaneous sessions, if supported."},
	"UnrecognizedRequestBody":         {http.StatusBadRequest, "The service detected a malformed request body that it was unable to interpret.", "Warning", "Correct the request body and resubmit the request if it failed."},
}

// fail makes the failure with the registry's text and status.
func fail(id string, args ...string) *failure {
	m, known := messages[id]
	if !known {
		panic("no such message in the Base registry's table: " + id) // a typing error, found by the first test that gets here
	}
	text := m.text
	for i, arg := range args {
		text = strings.ReplaceAll(text, fmt.Sprintf("%%%d", i+1), arg)
	}
	return &failure{status: m.status, id: id, message: text, args: args, severity: m.severity, resolution: m.resolution}
}

// about names the property that the failure is about.
func (f *failure) about(pointer string) *failure {
	f.properties = append(f.properties, "#/"+pointer)
	return f
}

// because replaces the registry's general words where a person needs the particular ones.
func (f *failure) because(format string, args ...any) *failure {
	f.message = fmt.Sprintf(format, args...)
	return f
}
