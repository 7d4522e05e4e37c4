//! How servers are reached: what the environment says of proxies, certificates and programs.

use fetch::Proxies;
use solver::remote::RemoteOptions;

use crate::env::Environment;

/// Returns how servers are reached.
pub(super) fn remote(env: &Environment) -> RemoteOptions {
    let known_hosts = env.home.as_ref().map(|home| home.join(".ssh/known_hosts"));
    RemoteOptions {
        proxies: Proxies {
            http: env.http_proxy.clone(),
            https: env.https_proxy.clone(),
            no_proxy: env.no_proxy.clone(),
        },
        certificates: env.certificates.clone(),
        authorities: env.reach.authorities.clone(),
        search_path: env.search_path.clone(),
        known_hosts: known_hosts.filter(|path| path.try_exists().unwrap_or(false)),
        ..RemoteOptions::default()
    }
}
