//! A `rollcall`, started for one test on free ports: as one process, or as a cluster.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread,
};

use rollcall_proto::{
    admin::v1::admin_service_client::AdminServiceClient,
    event::v1::event_service_client::EventServiceClient,
    notifier::v1::notifier_service_client::NotifierServiceClient,
    presence::v1::presence_service_client::PresenceServiceClient,
    role::Role,
    subscription::v1::{ListSubscriptionsRequest, subscription_service_client::SubscriptionServiceClient},
};
use rollcall_testkit::Proxy;
use tonic::transport::{Channel, Endpoint};

use crate::{
    app::{App, Setup},
    certs::Certs,
    deployment::{Deployment, Engines, INSTANCES, Part, Starter},
    links::{Link, Links, Place},
    metrics::Metrics,
    process::Process,
    raw::{Dial, Raw},
};

/// Where a running `rollcall` listens, each as `host:port`.
#[derive(Debug)]
pub struct Addresses {
    /// The clients' edges of the gateways.
    pub clients: Vec<String>,
    /// The admin and the presence service, gRPC.
    pub admin: String,
    /// The subscription service, gRPC.
    pub subscription: String,
    /// The notifier service, gRPC.
    pub notifier: String,
    /// The certificates of a cluster; one process speaks gRPC in clear text.
    pub certs: Option<Certs>,
    turn: AtomicUsize,
}

/// A running `rollcall`, as one process or many. Dropping it kills it.
#[derive(Debug)]
pub struct Rollcall {
    // Before the folder and the engines, so that the processes are gone when those go.
    parts: Vec<Part>,
    folder: Folder,
    engines: Option<Engines>,
    links: BTreeMap<Place, Proxy>,
    addresses: Arc<Addresses>,
}

/// Says how to start a `rollcall`.
#[derive(Debug, Clone)]
pub struct Builder {
    profile: &'static str,
    is_demo: bool,
    config: String,
    deployment: Deployment,
    variables: Vec<(&'static str, String)>,
    settings: Vec<(&'static str, String)>,
    files: Vec<(&'static str, String)>,
    links: Vec<Place>,
    partitions: u16,
    instances: usize,
    durable: bool,
}

impl Builder {
    /// Takes the durations of another profile than `fast`.
    #[must_use]
    pub fn profile(mut self, profile: &'static str) -> Self {
        self.profile = profile;
        self
    }

    /// Has one process make the app of its demo, and show its playground.
    #[must_use]
    pub fn demo(mut self) -> Self {
        self.is_demo = true;
        self.deployment = Deployment::Embedded;
        self
    }

    /// Adds configuration of the gateway, as TOML.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        toml.clone_into(&mut self.config);
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// Adds a line to the section of a service in its configuration, as TOML. `{folder}` in it stands for the folder of
    /// the test.
    #[must_use]
    pub fn setting(mut self, service: &'static str, line: &str) -> Self {
        self.settings.push((service, line.to_owned()));
        self
    }

    /// Puts a file into the folder of the test before the start.
    #[must_use]
    pub fn file(mut self, name: &'static str, text: &str) -> Self {
        self.files.push((name, text.to_owned()));
        self
    }

    /// Has a link of a process of a cluster lead through a proxy: that of the service of this name with this number
    /// from 0. See [`Rollcall::link`].
    #[must_use]
    pub fn link(mut self, service: &'static str, number: usize, to: Link) -> Self {
        self.links.push((service, number, to));
        self
    }

    /// Takes another deployment than the environment says.
    #[must_use]
    pub fn deployment(mut self, deployment: Deployment) -> Self {
        self.deployment = deployment;
        self
    }

    /// Divides the store of a cluster into another number of partitions than 16.
    #[must_use]
    pub fn partitions(mut self, partitions: u16) -> Self {
        self.partitions = partitions;
        self
    }

    /// Starts another number of processes of each service of a cluster than two.
    #[must_use]
    pub fn instances(mut self, instances: usize) -> Self {
        self.instances = instances;
        self
    }

    /// Has the store write what it acknowledges to disk, and keep it over a restart.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Starts it and waits until it serves.
    pub async fn start(mut self) -> Rollcall {
        let folder = Folder::new();
        for (name, text) in &self.files {
            fs::write(folder.0.join(name), text).expect("a file can be written");
        }
        for (_, line) in &mut self.settings {
            *line = line.replace("{folder}", &folder.0.display().to_string());
        }
        let engines = (self.deployment != Deployment::Embedded).then(|| Engines::start(self.durable));
        let links = Links::new(self.links);
        let starter = Starter {
            profile: self.profile,
            variables: &self.variables,
            settings: &self.settings,
            links: &links,
            folder: &folder.0,
            engines: engines.as_ref(),
            partitions: self.partitions,
            instances: self.instances,
        };
        let (parts, addresses) = match self.deployment {
            Deployment::Embedded | Deployment::Node => starter.node(&self.config, self.is_demo).await,
            Deployment::Cluster => starter.cluster(&self.config).await,
        };
        Rollcall { parts, folder, engines, links: links.into_proxies(), addresses: Arc::new(addresses) }
    }
}

impl Rollcall {
    /// Starts one with the profile `fast`.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Begins with the profile `fast` and no further configuration.
    pub fn builder() -> Builder {
        Builder {
            profile: "fast",
            is_demo: false,
            config: String::new(),
            deployment: Deployment::from_environment(),
            variables: Vec::new(),
            settings: Vec::new(),
            files: Vec::new(),
            links: Vec::new(),
            partitions: 16,
            instances: INSTANCES,
            durable: false,
        }
    }

    /// Returns where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Returns what it has logged so far, on both outputs.
    pub fn log(&self) -> String {
        self.parts.iter().map(|part| part.process.output() + &part.process.errors()).collect()
    }

    /// Returns a process of a cluster by the name of its service and its number from 0.
    pub fn process(&mut self, service: &str, number: usize) -> &mut Process {
        &mut self.part(service, number).process
    }

    /// Starts a process of a cluster again that has ended, where it was, and waits until it serves.
    pub async fn start_again(&mut self, service: &str, number: usize) {
        let folder = self.folder.0.clone();
        self.part(service, number).start_again(&folder).await;
    }

    fn part(&mut self, service: &str, number: usize) -> &mut Part {
        let mut of_service = self.parts.iter_mut().filter(|part| part.service == service);
        of_service.nth(number).unwrap_or_else(|| panic!("there is no {service} {number}"))
    }

    /// Returns the proxy on a link for which one was asked when it was started.
    pub fn link(&self, service: &'static str, number: usize, to: Link) -> &Proxy {
        let proxy = self.links.get(&(service, number, to));
        proxy.unwrap_or_else(|| panic!("there is no proxy between {service} {number} and {to:?}"))
    }

    /// Returns the servers of a deployment that has some.
    pub fn engines(&mut self) -> &mut Engines {
        self.engines.as_mut().expect("the deployment is on servers")
    }

    /// Lists its processes by service, with their process ids; the servers that it stands on are not among them.
    pub fn pids(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.parts.iter().map(|part| (part.service, part.process.pid()))
    }

    /// Returns where the tools of an operator reach its processes, each as `host:port`.
    pub fn ops(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.listens["ops"].as_str())
    }

    /// Reads what its one process has counted and measured so far.
    pub async fn metrics(&self) -> Metrics {
        let [part] = &self.parts[..] else { panic!("it is {} processes, expected one", self.parts.len()) };
        Metrics::read(&part.listens["ops"]).await
    }

    /// Creates an app of edition PREMIUM with the *status* switch on.
    pub async fn app(&self) -> App {
        self.app_with(Setup::default()).await
    }

    /// Creates an app.
    pub async fn app_with(&self, setup: Setup) -> App {
        App::create(Arc::clone(&self.addresses), setup).await
    }

    /// Prepares a connection to the gateway, with JSON frames.
    pub fn dial(&self) -> Dial {
        Dial::new(self.addresses.client())
    }

    /// Opens a connection with JSON frames on which nobody is logged in.
    pub async fn connect(&self) -> Raw {
        self.dial().open().await
    }

    /// Starts a command of `rollcallctl`.
    pub fn ctl(&self, name: &str, arguments: &[&str]) -> Process {
        let mut command = Command::new(binary("rollcallctl"));
        command.args(arguments);
        Process::spawn(name, command, &self.folder.0)
    }

    /// Starts a command of `rollcallctl` for operators, with what it needs to reach the admin service.
    pub fn operate(&self, name: &str, arguments: &[&str]) -> Process {
        self.ctl_at("--admin", &self.addresses.admin, name, arguments)
    }

    /// Starts `rollcallctl events`, with what it needs to reach a notifier.
    pub fn follow_by_ctl(&self, name: &str, arguments: &[&str]) -> Process {
        self.ctl_at("--notifier", &self.addresses.notifier, name, arguments)
    }

    fn ctl_at(&self, option: &str, address: &str, name: &str, arguments: &[&str]) -> Process {
        let certs = self.addresses.certs.as_ref();
        let scheme = if certs.is_some() { "https" } else { "http" };
        let options = certs.map(Certs::options).unwrap_or_default();
        let url = format!("{scheme}://{address}");
        let whereto = [option, &url].into_iter().chain(options.iter().map(String::as_str));
        self.ctl(name, &arguments.iter().copied().chain(whereto).collect::<Vec<_>>())
    }

    /// Starts an example of the workspace.
    pub fn example(&self, name: &str, arguments: &[&str]) -> Process {
        let mut command = Command::new(binary(&format!("examples/{name}")));
        command.args(arguments);
        Process::spawn(name, command, &self.folder.0)
    }

    /// Starts a script of the tree in Python, with the packages that `make setup` installs.
    pub fn script(&self, name: &str, path: &str, arguments: &[&str]) -> Process {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", root.join(".tools/current")).arg(root.join(path)).args(arguments);
        Process::spawn(name, command, &self.folder.0)
    }

    /// Returns the folder of the test, which is gone with it.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Returns the address of the WebSocket.
    pub fn url(&self) -> String {
        self.addresses.url()
    }

    /// Returns the address of gRPC streams.
    pub fn stream_url(&self) -> String {
        stream_url_of(self.addresses.client())
    }

    /// Makes a client of the admin service, as an operator.
    pub fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.addresses.channel(Role::Presence, Role::Operator))
    }

    /// Makes a client of the presence service, as the backend of an app.
    pub fn presence(&self) -> PresenceServiceClient<Channel> {
        PresenceServiceClient::new(self.addresses.channel(Role::Presence, Role::Backend))
    }

    /// Makes a client of the subscription service, as the backend of an app.
    pub fn subscription(&self) -> SubscriptionServiceClient<Channel> {
        SubscriptionServiceClient::new(self.addresses.channel(Role::Subscription, Role::Backend))
    }

    /// Reads a subscription list as the app's backend, which does not keep it by that.
    pub async fn listed(&self, app: &App, user: &str) -> Vec<String> {
        let request = ListSubscriptionsRequest { app_id: app.id, user_id: user.to_owned(), online: false };
        let read = self.subscription().list_subscriptions(request).await;
        read.expect("a list can be read").into_inner().target_ids
    }

    /// Makes a client of each instance of the subscription service: each hears by itself how apps are set.
    pub fn subscriptions(&self) -> Vec<SubscriptionServiceClient<Channel>> {
        let Some(certs) = &self.addresses.certs else { return vec![self.subscription()] };
        let instances = self.grpc().filter(|(service, _)| *service == Role::Subscription.name());
        let backend = Some((certs, Role::Backend));
        instances
            .map(|(_, address)| certs.channel(Role::Subscription, address, backend))
            .map(SubscriptionServiceClient::new)
            .collect()
    }

    /// Makes a client of the notifier service, as a gateway.
    pub fn notifier(&self) -> NotifierServiceClient<Channel> {
        NotifierServiceClient::new(self.addresses.channel(Role::Notifier, Role::Gateway))
    }

    /// Makes a client of the event service, as the backend of an app.
    pub fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.addresses.channel(Role::Notifier, Role::Backend))
    }

    /// Lists the processes of a cluster by service, with where each serves gRPC.
    pub fn grpc(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.parts.iter().map(|part| (part.service, part.listens["grpc"].as_str()))
    }
}

impl Addresses {
    pub(crate) fn new(
        clients: Vec<String>,
        [admin, subscription, notifier]: [String; 3],
        certs: Option<Certs>,
    ) -> Self {
        Self { clients, admin, subscription, notifier, certs, turn: AtomicUsize::new(0) }
    }

    /// Makes a channel to a service, which connects at its first call, as who has a role.
    pub fn channel(&self, server: Role, caller: Role) -> Channel {
        let address = match server {
            Role::Presence => &self.admin,
            Role::Subscription => &self.subscription,
            Role::Notifier => &self.notifier,
            other => panic!("{other} serves no calls"),
        };
        match &self.certs {
            Some(certs) => certs.channel(server, address, Some((certs, caller))),
            None => Endpoint::from_shared(format!("http://{address}"))
                .expect("an address is a URI")
                .connect_lazy(),
        }
    }

    /// Returns the WebSocket edge of the next gateway: who connect one after the other are on different ones.
    pub fn client(&self) -> &str {
        &self.clients[self.turn.fetch_add(1, Ordering::Relaxed) % self.clients.len()]
    }

    /// Returns the address of the WebSocket of the next gateway.
    pub fn url(&self) -> String {
        url_of(self.client())
    }
}

/// Returns the URL of gRPC streams at an address, given as `host:port`: of a gateway, or of a proxy before one.
pub fn stream_url_of(address: &str) -> String {
    format!("grpc://{address}")
}

/// Returns the URL of the WebSocket at an address, given as `host:port`: of a gateway, or of a proxy before one.
pub fn url_of(address: &str) -> String {
    format!("ws://{address}/v1/connect")
}

/// A folder for one test's files: in the target folder, gone with the test unless it fails.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let path = build_folder().join("harness").join(name);
        // A process id comes again: what an earlier failure left here has been read or never will be.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// Finds a binary of the workspace beside the running test.
pub(crate) fn binary(name: &str) -> PathBuf {
    let path = build_folder().join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "{} is missing: build it first with `cargo build --workspace --bins`",
        path.display()
    );
    path
}

/// Returns the folder of the binaries: tests lie in a folder `deps` or `examples` below it.
fn build_folder() -> PathBuf {
    let test = env::current_exe().expect("a test knows its file");
    let folder = test.parent().expect("a file lies in a folder");
    let is_inner = |folder: &Path| folder.ends_with("deps") || folder.ends_with("examples");
    if is_inner(folder) {
        folder.parent().expect("an inner folder lies in another").to_owned()
    } else {
        folder.to_owned()
    }
}
