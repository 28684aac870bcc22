package conformance

// story is what somebody does by clicks, from the page it begins at.
type story struct {
	name, page string
	does       func(*browser) error
	refusals   []string // that belong to it
}

// stories are a member's; they build on each other, in this order.
var stories = []story{
	{"key pair", "/project/key_pairs/", makeKeyPair, nil},
	{"network", "/project/networks/", makeNetwork, nil},
	{"router", "/project/routers/", makeRouter, nil},
	{"security group", "/project/security_groups/", makeSecurityGroup, nil},
	{"floating IP", "/project/floating_ips/", allocateFloatingIP, nil},
	{"launch", "/project/instances/", launch, nil},
	{"server", "/project/instances/", lookAtServer, nil},
	{"soft reboot", "/project/instances/", rowAction("soft_reboot"), nil},
	{"reboot", "/project/instances/", rowAction("reboot"), nil}, // what boots within a second of its order is not recorded yet
	{"console", "/project/instances/", useConsole, nil},
	{"log", "/project/instances/", readLog, nil},
	{"rescue", "/project/instances/", rescue, nil},
	{"associate floating IP", "/project/floating_ips/", associateFloatingIP, nil},
}

// adminStories are the admin's, while what the member has made is there.
var adminStories = []story{
	{"node", "/admin/ironic/", lookAtNode, nil},
	{"node maintenance", "/admin/ironic/", maintainNode, nil},
}

// farewells are the member's again, after all pages were seen.
var farewells = []story{
	{"release floating IP", "/project/floating_ips/", releaseFloatingIP, nil},
	{"delete", "/project/instances/", deleteServer, []string{"/project/instances/?action=row_update", "/compute/v2.1/servers/"}}, // the row asks until it is gone
}

// rackStories are a member's with the server that `ingot up` has made, on a machine that boots.
var rackStories = []story{
	{"rack console", "/project/instances/", typeAtGetty, nil},
	{"rack log", "/project/instances/", readKernelLog, nil},
}

// made is the name of everything that the stories make.
const made = "horizon-story"

// content is a page's own part; its rows are those of tables.
const content, row = "#content_body", "#content_body tr"

// dialog is the form that a button has opened, submit the button that sends it, and confirm that of a question.
const dialog, submit, confirm = ".modal-dialog ", ".modal-footer .btn-primary", ".modal-footer .btn-primary, .modal-footer .btn-danger"

// mine is the row of the server that was launched.
const mine = `#instances tr[data-display="` + made + `"] `

func makeKeyPair(b *browser) error {
	return steps(
		func() error { return b.click("#content_body button", "Create Key Pair") },
		func() error { return b.fill(dialog+"input[name=name]", made) },
		func() error { return b.choose(dialog+"select", "SSH Key") },
		func() error { return b.click(dialog+"button.btn-primary", "Create Key Pair") },
		func() error { return b.open("/project/key_pairs/") },
		func() error { return b.shows(row, made) },
	)
}

func makeNetwork(b *browser) error {
	return steps(
		func() error { return b.click("#networks__action_create", "") },
		func() error { return b.fill("#id_net_name", made) },
		func() error { return b.click(dialog+".button-next", "") },
		func() error { return b.fill("#id_subnet_name", made+"-subnet") },
		func() error { return b.fill("#id_cidr", "192.168.77.0/24") },
		func() error { return b.click(dialog+".button-next", "") },
		func() error { return b.click(dialog+".button-final", "") },
		func() error { return b.shows(row, made) },
		func() error { return b.click("#networks a", made) },
		func() error { return b.shows(content, "Subnets") },
	)
}

func makeRouter(b *browser) error {
	return steps(
		func() error { return b.click("#routers__action_create", "") },
		func() error { return b.fill(dialog+"#id_name", made) },
		func() error { return b.choose(dialog+"#id_external_network", outside) },
		func() error { return b.click(submit, "") },
		func() error { return b.shows(row, made) },
		func() error { return b.click("#routers a", made) },
		func() error { return b.click("ul.nav-tabs a", "Interfaces") },
		func() error { return b.click("#interfaces__action_create", "") },
		func() error { return b.choose(dialog+"#id_subnet_id", made) },
		func() error { return b.click(submit, "") },
		func() error { return b.click("ul.nav-tabs a", "Interfaces") },
		func() error { return b.shows(row, "192.168.77.1") },
	)
}

func makeSecurityGroup(b *browser) error {
	return steps(
		func() error { return b.click("#security_groups__action_create", "") },
		func() error { return b.fill(dialog+"#id_name", made) },
		func() error { return b.click(submit, "") },
		func() error { return b.click("#rules__action_add_rule", "") },
		func() error { return b.choose(dialog+"#id_rule_menu", "SSH") },
		func() error { return b.click(submit, "") },
		func() error { return b.shows(row, "22 (SSH)") },
		func() error { return b.click("#rules__action_add_rule", "") },
		func() error { return b.choose(dialog+"#id_rule_menu", "Custom TCP") },
		func() error { return b.fill(dialog+"#id_port", "8080") },
		func() error { return b.click(submit, "") },
		func() error { return b.shows(row, "8080") },
	)
}

func allocateFloatingIP(b *browser) error {
	return steps(
		func() error { return b.click("#floating_ips__action_allocate", "") },
		func() error { return b.choose(dialog+"#id_pool", outside) },
		func() error { return b.click(submit, "") },
		func() error { return b.shows(row, outside) },
	)
}

// launch goes through the wizard, on the network made before and with the key pair and the security group.
func launch(b *browser) error {
	const step = ".modal .step "
	turn := func(title string) func() error {
		return func() error { return b.click(".modal .wizard-nav a", title) }
	}
	choose := func(what string) func() error {
		return func() error {
			return steps(
				func() error { return b.shows(step+".transfer-available tr", what) },
				func() error {
					_, err := ask[bool](b, `(`+visible(step+".transfer-available tr", what)+`.querySelector("button.btn").click(), true)`)
					return err
				},
				func() error { return b.shows(step+".transfer-allocated tr", what) },
			)
		}
	}
	return steps(
		func() error { return b.click("#instances__action_launch-ng", "") },
		func() error { return b.fill(".modal #name", made) },
		turn("Source"),
		func() error { return b.click("#vol-create + label, label[id=vol-create] + label", "No") },
		choose("tiny"),
		turn("Flavor"), choose("bm.small"),
		turn("Networks"), choose(made),
		turn("Security Groups"), choose(made),
		turn("Key Pair"), choose(made),
		func() error { return b.click(".modal button.finish", "") },
		func() error { return b.shows(row, made) },
		func() error { return b.shows(mine, "Active") },
	)
}

// server opens a tab of a server.
func server(b *browser, name, tab string) error {
	return steps(
		func() error { return b.click("#instances a", name) },
		func() error { return b.click("ul.nav-tabs a", tab) },
	)
}

// lookAtServer opens the tabs that show what a server is.
func lookAtServer(b *browser) error {
	return steps(
		func() error { return server(b, made, "Overview") },
		func() error { return b.shows(content, "bm.small") },
		func() error { return b.click("ul.nav-tabs a", "Interfaces") },
		func() error { return b.shows(row, "192.168.77.") },
		func() error { return b.click("ul.nav-tabs a", "Action Log") },
		func() error { return b.shows(row, "Create") },
	)
}

// typed is what a tenant types on the console. It is a line: the log is made of them.
const typed = "typed-in-horizon"

// useConsole types on the serial line of the console's own page, which Horizon shows in a frame, and sees the echo.
func useConsole(b *browser) error {
	return steps(
		func() error { return server(b, made, "Console") },
		func() error { return b.framed("the login prompt", screen+`.includes("login:")`) },
		func() error { return typeOnConsole(b, typed+"\r") },
		func() error { return b.framed("the echo", screen+`.includes("`+typed+`")`) },
	)
}

// screen is a script for what the terminal in the console's page shows, spaces being what they are.
const screen = `(document.querySelector(".xterm-rows")?.textContent ?? "").replaceAll("\u00a0", " ")`

// typeOnConsole clicks into the terminal of the console's page and types there.
func typeOnConsole(b *browser, text string) error {
	return steps(
		func() error { return b.clickFramed("#terminal") },
		func() error { return b.keys(text) },
	)
}

// readLog finds there what the system said and what was typed.
func readLog(b *browser) error {
	return steps(
		func() error { return server(b, made, "Log") },
		func() error { return b.shows(content+" pre", "login:") },
		func() error { return b.shows(content+" pre", typed) },
	)
}

// act chooses an action from the menu of the server's row, confirms it, and is told that it is under way.
func act(b *browser, action string) error {
	return steps(
		func() error { return b.click(mine+".dropdown-toggle", "") },
		func() error { return b.click(mine+`button[value^="instances__`+action+`__"]`, "") },
		func() error { return b.click(confirm, "") },
		func() error { return b.shows(".messages .alert", made) },
	)
}

// rowAction is an action after which the server is active again.
func rowAction(action string) func(*browser) error {
	return func(b *browser) error {
		return steps(
			func() error { return act(b, action) },
			func() error { return b.shows(mine, "Active") },
		)
	}
}

// rescue has the rescue system in the place of the server's own, and back. The form wants an image: the server's.
func rescue(b *browser) error {
	return steps(
		func() error { return b.click(mine+".dropdown-toggle", "") },
		func() error { return b.click(mine+".btn-rescue", "") },
		func() error { return b.choose(dialog+"#id_image", "tiny") },
		func() error { return b.fill(dialog+"#id_password", made) },
		func() error { return b.click(submit, "") },
		func() error { return b.shows(mine, "Rescue") },
		func() error { return b.open("/project/instances/") },
		func() error { return b.click(mine+".dropdown-toggle", "") },
		func() error { return b.click(mine+".btn-unrescue", "") }, // without a question
		func() error { return b.shows(mine, "Active") },
	)
}

// address is the row of the floating IP that was allocated.
func address(b *browser) (string, error) {
	if err := b.shows(row, outside); err != nil {
		return "", err
	}
	ip, err := ask[string](b, visible("#floating_ips tr[data-display]", outside)+`.dataset.display`)
	return `#floating_ips tr[data-display="` + ip + `"] `, err
}

func associateFloatingIP(b *browser) error {
	of, err := address(b)
	if err != nil {
		return err
	}
	return steps(
		func() error { return b.click(of+"a", "Associate") },
		func() error { return b.choose(dialog+"#id_port_id", made) },
		func() error { return b.click(submit, "") },
		func() error { return b.shows(of, made) },
	)
}

// releaseFloatingIP takes it from the server, and gives it back.
func releaseFloatingIP(b *browser) error {
	of, err := address(b)
	if err != nil {
		return err
	}
	return steps(
		func() error { return b.click(of+"button", "Disassociate") },
		func() error { return b.click(confirm, "") },
		func() error { return b.shows(of+"a", "Associate") },
		func() error { return b.click(of+".dropdown-toggle", "") },
		func() error { return b.click(of+"button", "Release") },
		func() error { return b.click(confirm, "") },
		func() error { return b.until("the address to be gone", `!document.querySelector(`+js(of)+`)`) },
	)
}

func deleteServer(b *browser) error {
	return steps(
		func() error { return act(b, "delete") },
		func() error {
			return b.until("the server to be gone", `!document.querySelector(`+js(mine)+`)`)
		},
	)
}

// booted is the name of the server on a machine that boots.
const booted = "demo"

// typeAtGetty gives the login prompt a name: the terminal driver echoes it, and what getty starts then answers.
func typeAtGetty(b *browser) error {
	return steps(
		func() error { return server(b, booted, "Console") },
		func() error { return b.framed("the login prompt", screen+`.includes("login:")`) },
		func() error { return typeOnConsole(b, typed) },
		func() error { return b.framed("the echo", screen+`.includes("login: `+typed+`")`) },
		func() error { return typeOnConsole(b, "\r") },
		func() error { return b.framed("an answer", screen+`.includes("This image takes no passwords")`) },
	)
}

// readKernelLog asks for more lines than the tab shows at first, which has the kernel's first one.
func readKernelLog(b *browser) error {
	return steps(
		func() error { return server(b, booted, "Log") },
		func() error { return b.shows(content+" pre", typed) },
		func() error { return b.fill("#tail_length input[name=length]", "2000") },
		func() error { return b.click("#tail_length button", "Go") },
		func() error { return b.shows(content+" pre", "Linux version") },
	)
}

// node is the row of a machine that has no server: machines are listed by name, and servers have the last ones.
const node = "m1"

// nodeRow is a script for its row.
var nodeRow = visible(row, node)

// lookAtNode opens what ironic-ui shows of a machine.
func lookAtNode(b *browser) error {
	return steps(
		func() error { return b.click(row+" a", node) },
		func() error { return b.shows(content, "Provision State") },
		b.tabs,
	)
}

// maintainNode puts a machine into maintenance, and back.
func maintainNode(b *browser) error {
	choose := func(action string) func() error {
		return func() error {
			return steps(
				func() error { return b.press(nodeRow + `?.querySelector(".dropdown-toggle")`) },
				func() error { return b.click(row+" .dropdown-menu a", action) },
			)
		}
	}
	return steps(
		choose("Maintenance On"),
		func() error { return b.fill(".modal textarea, .modal input", "a disk is replaced") },
		func() error { return b.click(".modal .btn-primary", "") },
		func() error {
			return b.until("the machine to be in maintenance", nodeRow+`?.innerText.includes("Yes")`)
		},
		choose("Maintenance Off"),
		func() error { return b.until("the machine to be in use again", nodeRow+`?.innerText.includes("No")`) },
	)
}
