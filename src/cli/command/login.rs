//! `careen login` and `careen logout`: they need neither the store nor a sandbox and run in the first process, so that
//! credential helpers see the user as they are.

use std::io::{self, Write as _};
use std::sync::Arc;

use fetch::{ClientError, UrlError};
use registry::{
    Kept, Login, LoginServer, LookupError, Registry, RegistryConfig, RegistryError, StoredError,
    StoredLogins,
};

use crate::args::{LoginArguments, LogoutArguments, RegistryArguments};
use crate::ask::{self, AskError};
use crate::command::failure::registry::way_out;
use crate::env::Environment;
use crate::exit;
use crate::options::{RegistryOptions, RegistryUsageError, registry as settings};
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// Why a login is not kept or forgotten.
#[derive(Debug, thiserror::Error)]
enum LoginError {
    #[error("`{text}` is no registry")]
    Server { text: String, source: UrlError },
    #[error(transparent)]
    Usage(#[from] RegistryUsageError),
    #[error("cannot ask for the {what}")]
    Ask {
        what: &'static str,
        source: AskError,
    },
    #[error("the {what} is empty")]
    Empty { what: &'static str },
    #[error("cannot find out who is logged in to `{server}`")]
    Lookup { server: String, source: LookupError },
    #[error("nobody is logged in to `{server}`")]
    Nobody { server: String },
    #[error("cannot reach registries")]
    Client(#[source] ClientError),
    #[error("cannot log in to `{server}`")]
    Refused {
        server: String,
        source: RegistryError,
    },
    #[error("cannot keep the login for `{server}`")]
    Keep { server: String, source: StoredError },
    #[error("cannot forget the login for `{server}`")]
    Forget { server: String, source: StoredError },
}

/// Runs `login`.
pub(crate) fn login(arguments: &LoginArguments, env: &Environment) -> Outcome {
    log_in(arguments, env).map_err(|error| report(&error))?;
    Ok(exit::DONE)
}

/// Runs `logout`.
pub(crate) fn logout(arguments: &LogoutArguments, env: &Environment) -> Outcome {
    log_out(arguments, env).map_err(|error| report(&error))?;
    Ok(exit::DONE)
}

fn log_in(arguments: &LoginArguments, env: &Environment) -> Result<(), LoginError> {
    let server = server(arguments.server.as_deref())?;
    let given = arguments.registry();
    let options = RegistryOptions::new(&given, env, vec![server.domain().to_owned()])?;
    let places = settings::places(env);
    let overrides = settings::overrides(&given, env, Vec::new())?;
    // The file that is to be made need not be there to find out who is logged in.
    let config = if overrides
        .auth_file
        .as_ref()
        .is_some_and(|path| !path.try_exists().unwrap_or(true))
    {
        None
    } else {
        Some(&*options.config)
    };
    let known = config.map_or(Ok(Login::Anonymous), |config| stored(config, &server))?;
    if arguments.get_login {
        return tell_user(&known, &server);
    }
    let logins = StoredLogins::find(&places, &overrides, settings::helpers(env));
    let keep = |source| LoginError::Keep {
        server: server.key().to_owned(),
        source,
    };
    let logins = logins.map_err(keep)?;
    let (user, password) = whom(arguments, &known)?;
    let login = Login::Basic {
        user: user.clone(),
        password: password.clone(),
    };
    verify(&options, env, &server, login)?;
    let kept = logins.keep(server.key(), &user, &password).map_err(keep)?;
    if let Kept::InFile(path) = kept {
        say(&format!(
            "warning: the password stands unencrypted in `{}`; a credential helper (`credsStore`) keeps it safe",
            path.display()
        ));
    }
    tell("Login Succeeded");
    Ok(())
}

/// Finds out who logs in: what the arguments do not say is asked for.
fn whom(arguments: &LoginArguments, known: &Login) -> Result<(String, String), LoginError> {
    let asked = |what| move |source| LoginError::Ask { what, source };
    let user = match (&arguments.username, known) {
        (Some(user), _) => user.clone(),
        (None, Login::Basic { user, .. }) => {
            let answer = ask::line(&format!("Username ({user}): ")).map_err(asked("user"))?;
            if answer.is_empty() {
                user.clone()
            } else {
                answer
            }
        }
        (None, _) => ask::line("Username: ").map_err(asked("user"))?,
    };
    let password = match &arguments.password {
        Some(password) => {
            say(
                "warning: others can see a password on the command line; `--password-stdin` hides it",
            );
            password.clone()
        }
        None if arguments.password_stdin => ask::piped_secret().map_err(asked("password"))?,
        None => ask::secret("Password: ").map_err(asked("password"))?,
    };
    for (what, text) in [("user", &user), ("password", &password)] {
        if text.is_empty() {
            return Err(LoginError::Empty { what });
        }
    }
    Ok((user, password))
}

/// Asks the registry whether it takes the login.
fn verify(
    options: &RegistryOptions,
    env: &Environment,
    server: &LoginServer,
    login: Login,
) -> Result<(), LoginError> {
    let host = options.config.own_host(server);
    let host = host.map_err(|source| LoginError::Lookup {
        server: server.key().to_owned(),
        source,
    })?;
    // Whoever waits ends it with a signal.
    let client = options.client(env, Arc::new(|| false));
    let registry = Registry::open(client).map_err(LoginError::Client)?;
    registry
        .ping(&host, login)
        .map_err(|source| LoginError::Refused {
            server: server.key().to_owned(),
            source,
        })
}

fn log_out(arguments: &LogoutArguments, env: &Environment) -> Result<(), LoginError> {
    let server = server(arguments.server.as_deref())?;
    let given = RegistryArguments {
        authfile: arguments.authfile.clone(),
        ..RegistryArguments::default()
    };
    let overrides = settings::overrides(&given, env, Vec::new())?;
    let logins = StoredLogins::find(&settings::places(env), &overrides, settings::helpers(env));
    let forget = |source| LoginError::Forget {
        server: if arguments.all {
            "every registry"
        } else {
            server.key()
        }
        .to_owned(),
        source,
    };
    let logins = logins.map_err(forget)?;
    if arguments.all {
        for server in logins.forget_all().map_err(forget)? {
            tell(&format!("Removed the login for {server}"));
        }
        return Ok(());
    }
    if logins.forget(server.key()).map_err(forget)? {
        tell(&format!("Removed the login for {}", server.key()));
    } else {
        tell(&format!("Not logged in to {}", server.key()));
    }
    // What another file or a variable says still counts.
    let config = RegistryConfig::new(
        settings::places(env),
        settings::overrides(&RegistryArguments::default(), env, Vec::new())?,
        settings::helpers(env),
    );
    if given.authfile.is_none() && stored(&config, &server)? != Login::Anonymous {
        say(&format!(
            "warning: another file or variable than `{}` still has a login for `{}`",
            logins.path().display(),
            server.key()
        ));
    }
    Ok(())
}

fn server(text: Option<&str>) -> Result<LoginServer, LoginError> {
    let Some(text) = text else {
        return Ok(LoginServer::hub());
    };
    LoginServer::parse(text).map_err(|source| LoginError::Server {
        text: text.split('@').next_back().unwrap_or_default().to_owned(),
        source,
    })
}

fn stored(config: &RegistryConfig, server: &LoginServer) -> Result<Login, LoginError> {
    config
        .stored_login(server.domain(), server.path())
        .map_err(|source| LoginError::Lookup {
            server: server.key().to_owned(),
            source,
        })
}

fn tell_user(known: &Login, server: &LoginServer) -> Result<(), LoginError> {
    match known {
        Login::Basic { user, .. } => tell(user),
        Login::IdentityToken(_) | Login::RegistryToken(_) => tell("<token>"),
        Login::Anonymous => {
            return Err(LoginError::Nobody {
                server: server.key().to_owned(),
            });
        }
    }
    Ok(())
}

fn tell(line: &str) {
    // Whoever closes our output has read what they wanted.
    drop(writeln!(io::stdout(), "{line}"));
}

fn say(line: &str) {
    // Standard error is gone; there is nobody to tell.
    drop(writeln!(io::stderr(), "{line}"));
}

fn report(error: &LoginError) -> Box<Report> {
    let kind = match error {
        LoginError::Server { .. } | LoginError::Usage(_) | LoginError::Empty { .. } => Kind::Usage,
        LoginError::Ask {
            source: AskError::Interrupted,
            ..
        } => Kind::Interrupted(2),
        LoginError::Ask {
            source: AskError::NoTerminal,
            ..
        } => Kind::Usage,
        LoginError::Nobody { .. } => Kind::User,
        LoginError::Refused { .. } => Kind::Remote,
        LoginError::Ask { .. }
        | LoginError::Lookup { .. }
        | LoginError::Client(_)
        | LoginError::Keep { .. }
        | LoginError::Forget { .. } => Kind::Host,
    };
    let mut report = Report::new(kind, error);
    report.help = match error {
        LoginError::Ask {
            source: AskError::NoTerminal,
            ..
        } => Some("`--username USER --password-stdin` asks nothing".to_owned()),
        // Whoever is here does not have to be told of `careen login`.
        LoginError::Refused { source, .. } if !source.is_unauthorized() => way_out(source),
        _ => None,
    };
    Box::new(report)
}
