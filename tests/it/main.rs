//! Tests of the whole: the house's floors, and money through the facade.

mod house;
mod readme;
