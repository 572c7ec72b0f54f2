//! Operations of OpenAPI documents as tools, over a data file: declared by the operator, credentials from the environment, paid through
//! the purse.
//!
//! An API is declared in `bursar.toml` (`[[api]]`) or in code ([`BursarBuilder::api`](crate::BursarBuilder::api)), and opened with
//! [`Bursar::apis`] or [`Bursar::api`]. What holds for its tools stands in [`bursar_tools::openapi`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use bursar::{Bursar, openapi::{Api, Secret}};
//! let bursar = Bursar::open("bursar.toml").await?;
//! let api = Api::new("shop", std::fs::read("shop.json")?, "https://api.shop.example/v1")?
//!     .credential("bearerAuth", Secret::new("SHOP_TOKEN", std::env::var("SHOP_TOKEN")?)?)
//!     .paid("buyReport");
//! let shop = bursar.api(api)?;
//! let tools = shop.tools()?; // `shop__buyReport`, `shop__listOrders`, or `shop__search` where there are many
//! # Ok(())
//! # }
//! ```

pub use bursar_tools::openapi::{
    Api, ApiError, ApiLimits, ApiTools, Place, Secret, SecretError, WithheldOperation, Withholding,
};

use crate::config::ApiConfig;
use crate::error::BursarError;
use crate::handle::Bursar;
use crate::wallet_file::secret;
use bursar_tools::openapi::{ApiParts, ApiTransport};
use bursar_types::Transport;
use std::path::Path;
use std::sync::Arc;

/// The APIs of an open data file.
#[derive(Debug)]
pub(crate) struct Apis {
    declared: Vec<Api>,
    transport: ApiTransport,
}

impl Apis {
    /// Stands before the transport that the purse sends through.
    pub(crate) fn around(vendors: Arc<dyn Transport>, declared: Vec<Api>) -> (Arc<dyn Transport>, Self) {
        let transport = ApiTransport::new(vendors);
        (Arc::new(transport.clone()), Self { declared, transport })
    }
}

impl Bursar {
    /// Makes tools of an API's document. Nothing is asked of anybody.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn api(&self, api: Api) -> Result<ApiTools, ApiError> {
        let transport = self.0.apis.transport.clone();
        ApiTools::open(api, ApiParts { transport, assets: self.registry().clone() })
    }

    /// Makes tools of the declared APIs: each by its name, with its tools or why it gives none.
    pub fn apis(&self) -> Vec<(String, Result<ApiTools, ApiError>)> {
        self.0.apis.declared.iter().map(|api| (api.name().to_owned(), self.api(api.clone()))).collect()
    }
}

/// An API as the configuration declares it. Document and secrets are read now.
pub(crate) fn declared(config: &ApiConfig, folder: &Path) -> Result<Api, BursarError> {
    let refuse = |problem: String| BursarError::Api { api: config.name.clone(), problem };
    let path = folder.join(&config.document);
    let document = std::fs::read(&path)
        .map_err(|error| refuse(format!("its document `{}` cannot be read: {error}", path.display())))?;
    let api = Api::new(&config.name, document, &config.server).map_err(|error| refuse(error.to_string()))?;
    let named = |variable: &String| {
        let value = secret(variable, "an API's credential")?;
        Secret::new(variable, value.as_str()).map_err(|error| refuse(error.to_string()))
    };
    let mut api = api;
    for (scheme, variable) in &config.credentials {
        api = api.credential(scheme, named(variable)?);
    }
    if let Some(variable) = &config.bearer_env {
        api = api.always(Place::Bearer, named(variable)?);
    }
    for (name, variable) in &config.headers {
        let header = name.parse().map_err(|_| refuse(format!("`{}` is no header", name.escape_debug())))?;
        api = api.always(Place::Header(header), named(variable)?);
    }
    let api = config.paid.iter().fold(api, Api::paid);
    let api = config.reads.iter().fold(api, Api::reads);
    let api = config.writes.iter().fold(api, Api::writes);
    let api = config.slashes.iter().fold(api, Api::slashes);
    Ok(match &config.only {
        Some(only) => api.only(only),
        None => api,
    })
}
