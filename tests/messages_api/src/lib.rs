//! telexd-messages-api
